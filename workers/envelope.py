"""The envelope: the record that a message of Dramatiq carries, and what else it may ask for.

A record comes in one of three ways, those that `.send` of a stock client makes: as the only argument, as `record=…`, or as
keywords that are its fields. Everything else would lose something in silence, so it is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

from jarvis_client.contract.answers import asks
from jarvis_client.contract.conventions import EARLIEST, LATEST
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import FORMS
from jarvis_client.contract.jobs import JOB_FIELDS
from jarvis_client.contract.outcome import Reason, Refusal
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_MESSAGE_BYTES, ROUTES
from workers.messages import refusal
from workers.wire import RECORD_KEYWORD, decode_json

KIND_OF_ACTOR = {route.actor: kind for kind, route in (*ROUTES.items(), ("job", JOBS_ROUTE))}
#: By actor, the names that a record gives its fields.
_FIELDS_OF = {actor: {field.name for field in (FORMS[kind].fields if kind in FORMS else JOB_FIELDS)} for actor, kind in KIND_OF_ACTOR.items()}

_FIELDS = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
#: Options by which Dramatiq sends something on once an actor has returned, or has failed. Their other options (retries, time
#: limits, results) are about how a worker of Dramatiq goes about it and say nothing of the record.
_SENDS_ON = {"pipe_target", "group_completion_callbacks", "group_completion_uuid", "on_success", "on_failure", "on_retry_exhausted"}
_THREE_WAYS = 'a record is sent as .send({…}), .send(record={…}) or .send(field=…, …), in JSON "args": [{…}] and no kwargs'
_WITHOUT = "send the record without it, and what else is wanted as a message of its own; `jarvis quarantine replay` records this one without it"


#: A time of publishing outside these says nothing: a client that fills the field with what it likes.
_EARLIEST_MS, _LATEST_MS = EARLIEST // 1_000, LATEST // 1_000


class Envelope(NamedTuple):
    """What counts of a message. `content`: its record or list of records. `published_ms`: by its publisher's clock, 0 where it does not say.
    `asks`: whether its publisher waits for an answer."""

    actor_name: str
    content: Any
    message_id: str
    published_ms: int
    asks: bool


def read_envelope(envelope: Any, redis_id: bytes, actors: Container[str]) -> Envelope:
    """The envelope of a decoded message for one of these actors. Raises `MalformedRecord`."""
    if type(envelope) is not dict:
        raise MalformedRecord(f"the message is a JSON {type(envelope).__name__}, not an envelope with actor_name and args")
    actor = envelope.get("actor_name")
    if type(actor) is not str or actor not in actors:
        raise MalformedRecord(f"unknown kind: actor_name is {actor!r:.60}; there are {', '.join(sorted(KIND_OF_ACTOR))}", Reason.UNKNOWN_KIND)
    content = content_of(envelope)
    refuse_what_would_be_dropped(envelope)
    message_id, published = envelope.get("message_id"), envelope.get("message_timestamp")
    return Envelope(
        actor, content, message_id if type(message_id) is str else redis_id.decode("utf-8", "replace"),
        published if type(published) is int and _EARLIEST_MS <= published <= _LATEST_MS else 0, asks(envelope),
    )  # fmt: skip


def content_of(envelope: dict[str, Any]) -> Any:
    """The record of an envelope, or its list of records. Raises `MalformedRecord` where it is not told in one of the three ways."""
    args, kwargs = envelope.get("args"), envelope.get("kwargs")
    if type(args) is not list:
        raise MalformedRecord(f"args is {args!r:.60}; it must be a list: {_THREE_WAYS}")
    if not kwargs and len(args) == 1:
        return args[0]
    if kwargs and type(kwargs) is not dict:
        raise MalformedRecord(f"kwargs is {kwargs!r:.60}; it must be an object: {_THREE_WAYS}")
    if not args and kwargs and RECORD_KEYWORD not in kwargs:
        return kwargs
    if not args and kwargs and len(kwargs) == 1:
        return kwargs[RECORD_KEYWORD]
    if not args and not kwargs:
        raise MalformedRecord(f"the message carries no record; {_THREE_WAYS}")
    names = f" ({', '.join(kwargs)!s:.60})" if kwargs else ""
    raise MalformedRecord(
        f"the message has {len(args)} positional and {len(kwargs or ())} keyword arguments{names}, of which some would be dropped; {_THREE_WAYS}"
    )


def refuse_what_would_be_dropped(envelope: dict[str, Any]) -> None:
    """Raises `MalformedRecord` where an envelope asks for more than recording: nothing here sends another message on."""
    if not envelope.keys() <= _FIELDS:
        # A label of the engine's own says nothing of the record; a fee or a second record does.
        of_a_record = _FIELDS_OF.get(envelope["actor_name"], ())
        dropped = [name for name in sorted(envelope.keys() - _FIELDS) if name in of_a_record or type(envelope[name]) in (dict, list)]
        if dropped:
            raise MalformedRecord(f"beside args the message has {', '.join(dropped)!s:.60}, which would be dropped; {_WITHOUT}")
    options = envelope.get("options")
    if not options:
        return
    if type(options) is not dict:
        raise MalformedRecord(f"options is {options!r:.60}; it must be an object")
    for name, value in options.items():
        if value and (name in _SENDS_ON or _is_message(value)):
            raise MalformedRecord(f"the option {name!s:.60} asks to send {_shown(value)} on after this one, which nothing here does; {_WITHOUT}")


def _is_message(value: Any) -> bool:
    if type(value) is list:
        return any(_is_message(element) for element in value if type(element) is dict)
    return type(value) is dict and "actor_name" in value


def _shown(value: Any) -> str:
    """Whom an option wants to be sent to, where it can be told."""
    found = value if type(value) is list else [value]
    names = [str(v["actor_name"]) for v in found if type(v) is dict and "actor_name" in v]
    return f"{', '.join(names)!r:.60}" if names else f"{value!r:.60}"


def refused(payload: bytes, error: MalformedRecord, where: str) -> Refusal:
    """A whole message on its way to quarantine, with whatever can be told of its kind and identity, for filters."""
    kind, told = "", {}
    try:
        envelope = decode_json(payload) if len(payload) <= MAX_MESSAGE_BYTES else None
    except MalformedRecord:
        envelope = None
    if type(envelope) is dict:
        actor = envelope.get("actor_name")
        kind = KIND_OF_ACTOR.get(actor, "") if type(actor) is str else ""
        told = _told(envelope, kind)
    return refusal(payload, kind, told, f"{where}: {error}")._replace(reason=str(error.reason))


def _told(envelope: dict[str, Any], kind: str) -> dict[str, Any]:
    """The identity that everything in an envelope agrees on; two records in one message have none of their own."""
    args, kwargs = envelope.get("args"), envelope.get("kwargs")
    arguments = list(args) if type(args) is list else []
    if type(kwargs) is dict:
        arguments += [kwargs, kwargs.get(RECORD_KEYWORD)]
    records = [r for argument in arguments for r in (argument if type(argument) is list else [argument]) if type(r) is dict]
    names = ("account_id", "producer", "sequence", *((FORMS[kind].id_field,) if kind in FORMS else ()))
    found = {name: [r[name] for r in records if name in r] for name in names}
    return {name: values[0] for name, values in found.items() if values and all(v == values[0] for v in values)}


#: The year 2286: what is beyond is given in another unit.
_LATEST_MS = 10**13


def published_at(payload: bytes) -> int | None:
    """The instant at which a message was published, by its publisher's clock; None where it does not say so."""
    try:
        envelope = decode_json(payload)
    except MalformedRecord:
        return None
    stamp = envelope.get("message_timestamp") if type(envelope) is dict else None
    return stamp * 1_000 if type(stamp) is int and 0 < stamp < _LATEST_MS else None
