"""Receipts: what publishing gives, and what the worker said of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Self, TypeVar

from jarvis_client.contract.errors import Invalid, Unavailable
from jarvis_client.contract.outcome import Outcome
from jarvis_client.packing import Message

#: One wait on the server. Shorter than every client's patience with a silent socket, and an end of the connection costs no more than that.
WAIT_SLICE_SECONDS = 1.0

#: Gives the outcomes of a message's records, by its id, within some seconds.
Ask = Callable[[str, float], Sequence[Outcome]]
AsyncAsk = Callable[[str, float], Awaitable[Sequence[Outcome]]]


class NoAnswer(Unavailable, TimeoutError):
    """Nobody answered in time. The record is on its way all the same, or recorded; an answer is kept for a minute, so wait again."""


class _Receipt(str):
    """The id of a message, and who can be asked what became of its record; nobody where its publisher does not ask for answers."""

    _ask: Any = None
    _found: Outcome | None = None

    @classmethod
    def of(cls, message: Message, ask: Ask | AsyncAsk | None) -> Self:
        receipt = cls(message.message_id)
        receipt._ask = ask
        return receipt

    @property
    def message_id(self) -> str:
        return str(self)


class Receipt(_Receipt):
    """The id of a message, and, where its publisher asks for answers, what became of its record."""

    def wait(self, timeout: float = 10.0) -> Outcome:
        """Wait until the record is durable, or refused. Raises `NoAnswer` after `timeout` seconds, `Invalid` where nobody asked.

        `outcome.recorded` says whether the books have it. Its status is `applied`, `duplicate` (they had it already) or `quarantined`, with
        `reason` and `detail`. Where a worker died between its commit and its answer, the record is delivered again, and what was recorded the
        first time is a `duplicate`.
        """
        if self._found is None:
            self._found = _asked(self._ask)(str(self), timeout)[0]
        return self._found


class AsyncReceipt(_Receipt):
    """As `Receipt`, of an `AsyncPublisher`."""

    async def wait(self, timeout: float = 10.0) -> Outcome:
        """As `Receipt.wait`."""
        if self._found is None:
            self._found = (await _asked(self._ask)(str(self), timeout))[0]
        return self._found


class _Sent(int):
    """How many records were sent, and where each of them is: (message, its place there), where the publisher asks for answers."""

    places: Sequence[tuple[str, int]]
    #: By message, what is known so far: an answer is there to be taken once.
    answers: dict[str, Sequence[Outcome]]
    _ask: Any

    @classmethod
    def of(cls, count: int, places: Sequence[tuple[str, int]], ask: Any) -> Self:
        sent = cls(count)
        sent.places, sent.answers, sent._ask = places, {}, ask
        return sent

    def _unanswered(self) -> list[str]:
        return [message_id for message_id in dict.fromkeys(message_id for message_id, _ in self.places) if message_id not in self.answers]

    def _outcomes(self) -> list[Outcome]:
        return [outcome_at(self.answers[message_id], place) for message_id, place in self.places]


class Sent(_Sent):
    """How many records were sent, and, where the publisher asks for answers, what became of each."""

    def wait(self, timeout: float = 10.0) -> list[Outcome]:
        """What became of each record, in the order in which they were given. As `Receipt.wait`, `timeout` for each message."""
        ask = _asked(self._ask)
        for message_id in self._unanswered():
            self.answers[message_id] = ask(message_id, timeout)
        return self._outcomes()


class AsyncSent(_Sent):
    """How many records were sent, and, where the publisher asks for answers, what became of each."""

    async def wait(self, timeout: float = 10.0) -> list[Outcome]:
        """As `Sent.wait`."""
        ask = _asked(self._ask)
        for message_id in self._unanswered():
            self.answers[message_id] = await ask(message_id, timeout)
        return self._outcomes()


class Places:
    """Collects where the records of many groups are."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []

    def add(self, messages: Sequence[Message]) -> None:
        at = {place: (message.message_id, n) for message in messages for n, place in enumerate(message.places)}
        self.found += [at[place] for place in range(len(at))]


class Refusal(NamedTuple):
    """A record of this producer that is in quarantine. `entry_id` is its place in the stream: give it as `after` to go on behind it."""

    entry_id: str
    kind: str
    account_id: str
    record_id: str
    sequence: int | None
    reason: str
    detail: str
    message_id: str
    record: bytes
    """The record as it arrived, or the beginning of a long one."""


def refusals_in(reply: Any) -> list[Refusal]:
    """What a reply to XREAD holds, in any of the forms that clients give it."""
    streams = list(reply.values()) if isinstance(reply, dict) else [entries for _, entries in reply or ()]
    found = []
    for entry_id, fields in (entry for stream in streams for entry in _flat(stream)):
        said = {_text(name): value for name, value in fields.items()}
        sequence, record = _text(said.get("sequence", b"")), said.get("record", b"")
        text = {name: _text(said.get(name, b"")) for name in ("kind", "account_id", "record_id", "reason", "detail", "message_id")}
        found.append(
            Refusal(
                _text(entry_id), text["kind"], text["account_id"], text["record_id"], int(sequence) if sequence else None, text["reason"],
                text["detail"], text["message_id"], record if isinstance(record, bytes) else record.encode(),
            )
        )  # fmt: skip
    return found


def _flat(stream: Any) -> list[Any]:
    """The entries of one stream: RESP3 wraps them once more."""
    return stream[0] if stream and isinstance(stream[0], list) else stream


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def outcome_at(outcomes: Sequence[Outcome], place: int) -> Outcome:
    """That of one record of a message. A message that was refused as a whole has one for all."""
    return outcomes[place] if place < len(outcomes) else outcomes[0]


def wait_slice(rest: float) -> float:
    """Seconds of one wait for an answer: never so few that Redis takes them for none, which would be for ever."""
    return min(max(rest, 0.01), WAIT_SLICE_SECONDS)


def no_answer(message_id: str, seconds: float, *, away: bool) -> NoAnswer:
    """away: the broker itself could not be asked."""
    why = (
        "the broker is away. The record stays in its queue or in the spool, and is answered once the broker and a worker are back"
        if away
        else "is a worker running? The record stays in its queue until one is"
    )
    return NoAnswer(f"no answer to message {message_id} within {seconds:g} s; {why}")


Asking = TypeVar("Asking")


def _asked(ask: Asking | None) -> Asking:
    if ask is None:
        raise Invalid("this publisher does not ask for answers; make it with answers=True")
    return ask
