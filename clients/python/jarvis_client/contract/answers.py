"""What a worker tells an engine of its records, and where: an answer to each message that asks for one, and a stream of refusals.

| key | holds | for how long |
| --- | --- | --- |
| `{namespace}:__jarvis__.answer.<message id>` | a list of one text: a JSON array, one object per record of the message | `ANSWER_SECONDS` |
| `{namespace}:__jarvis__.refusals.<producer>` | a stream: the last `MOST_REFUSALS` refused records of that producer | `REFUSALS_SECONDS` after the last |

A message asks by `"options": {"answer": true}`. The key is derived from its id, so that no message can name a key to be written to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.outcome import Outcome

#: The option of a message that asks.
ANSWER_OPTION = "answer"
#: Who asks is waiting. Longer, and an engine that asks for everything and never looks would fill Redis.
ANSWER_SECONDS = 60
#: Enough for an engine that was away for a while; quarantine itself keeps all of them.
MOST_REFUSALS = 1_000
REFUSALS_SECONDS = 30 * 86_400
#: Of a refused record's own text. Quarantine has it whole.
LONGEST_SHOWN = 4_096


def answer_key(namespace: str, message_id: str) -> str:
    return f"{namespace}:__jarvis__.answer.{message_id}"


def refusals_key(namespace: str, producer: str) -> str:
    return f"{namespace}:__jarvis__.refusals.{producer}"


def asks(envelope: Any) -> bool:
    """Whether an envelope asks for an answer."""
    options = envelope.get("options") if type(envelope) is dict else None
    return type(options) is dict and options.get(ANSWER_OPTION) is True


def told(outcome: Outcome) -> Outcome:
    """An outcome as an engine is told of it: a record that is in quarantine already, and came again, is not recorded."""
    return outcome if not outcome.reason else outcome._replace(status="quarantined")


def answer_text(outcomes: Iterable[Outcome]) -> bytes:
    """The answer to a message: an object for each of its records, in their order."""
    return json.dumps([{name: value for name, value in told(o)._asdict().items() if value} for o in outcomes], ensure_ascii=False).encode("utf-8", "replace")


def outcomes_of(text: bytes | str) -> list[Outcome]:
    """What an answer says. Raises `MalformedRecord` for a text that is none."""
    try:
        return [Outcome(str(o["status"]), str(o.get("reason", "")), str(o.get("detail", ""))) for o in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise MalformedRecord(f"{text[:60]!r} is no answer of a worker; it must be a JSON array of objects with a status") from None


def refusal_fields(outcome: Outcome, message_id: str, fields: Mapping[str, str | int | None], raw: bytes) -> Sequence[str | bytes]:
    """One entry of the stream of refusals, name and value in turn: all of them are there, empty where nothing is known."""
    found: list[str | bytes] = ["message_id", message_id, "reason", outcome.reason, "detail", outcome.detail.encode("utf-8", "replace")]
    for name, value in fields.items():
        found += [name, "" if value is None else str(value).encode("utf-8", "replace")]
    return [*found, "record", raw[:LONGEST_SHOWN]]
