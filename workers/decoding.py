"""From what was fetched to deliveries: read here, or by a second process while there is a backlog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jarvis_client.contract.answers import asks
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.routes import MAX_MESSAGE_BYTES
from workers.delivery import Delivery, delivery_of
from workers.envelope import read_envelope
from workers.reading import Fetched
from workers.second_reader import SecondReader, Told
from workers.wire import decode_json

if TYPE_CHECKING:
    from workers.broker import LedgerBroker


class Decoding:
    """What a broker's messages become. None stands for one that went to quarantine instead."""

    def __init__(self, broker: LedgerBroker) -> None:
        self._broker = broker
        #: There is one if there is a core for it.
        self.second_reader: SecondReader | None = None

    def deliveries(self, queue: str, fetched: Sequence[Fetched], *, more: bool) -> list[Delivery | None]:
        """The deliveries of what was fetched. While `more` are waiting, another process may be reading it, and those of what was fetched
        before are given."""
        if self.second_reader is None:
            return [self._decoded(queue, *message) for message in fetched]
        return self._deliveries(queue, self.second_reader.read(queue, fetched, more=more))

    def rest_of(self, queue: str) -> list[Delivery | None]:
        """The deliveries of what was fetched from a queue and is still being read."""
        return [] if self.second_reader is None else self._deliveries(queue, self.second_reader.rest_of(queue))

    def let_go(self) -> None:
        """End a second process that nothing has come for lately."""
        if self.second_reader is not None:
            self.second_reader.let_go()

    def close(self) -> None:
        if self.second_reader is not None:
            self.second_reader.close()

    def _deliveries(self, queue: str, told: Told) -> list[Delivery | None]:
        return [self._decoded(queue, *message) if read is None else delivery_of(queue, *message, *read) for message, read in told]

    def _decoded(self, queue: str, redis_id: bytes, payload: bytes) -> Delivery | None:
        # Never raises: its neighbours must go on.
        envelope: Any = None
        try:
            if len(payload) > MAX_MESSAGE_BYTES:
                raise MalformedRecord(f"a message of {len(payload)} bytes; at most {MAX_MESSAGE_BYTES} are taken: send smaller batches")
            envelope = decode_json(payload)
            return delivery_of(queue, redis_id, payload, read_envelope(envelope, redis_id, self._broker.actors))
        except Exception as error:
            refused = error if isinstance(error, MalformedRecord) else MalformedRecord(f"{type(error).__name__}: {error}")
            unreadable = Delivery(queue, redis_id, payload)
            unreadable.asks = asks(envelope)
            self._broker.quarantine(unreadable, refused)
            return None
