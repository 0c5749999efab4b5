"""The actors of the contract, for programs that send with Dramatiq:

    from workers.actors import record_fill

    record_fill.send({"fill_id": "binance:BTCUSDT:42", "account_id": "main", …})
    record_fill.send(fill_id="binance:BTCUSDT:42", account_id="main", …)

Importing them needs no database and no broker: nothing is connected, set or read before the first message is made. They are
registered on no broker, so that a Dramatiq worker of the program's own never takes messages that are meant for ours; what our
worker does with them is `workers.intake`.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from importlib.metadata import entry_points
from typing import Any, NoReturn

import dramatiq
import dramatiq.broker
from dramatiq import Broker, Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.encoder import JSONEncoder

from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from jarvis_client.contract.forms import FORMS
from jarvis_client.contract.jobs import JOB_SAYS
from jarvis_client.contract.json_values import json_value
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES, Route
from jarvis_client.primaries import connect

#: Who knows the settings stands above this package, which may not import it: an entry point of this group gives a function
#: that returns the URL and the namespace of the broker the settings mean.
BROKER_OF_THE_SETTINGS = "jarvis.broker"

_choosing = threading.Lock()


class RecordMessage(Message[None]):
    """A message of the contract: JSON, whatever encoder the program has chosen for its own."""

    def encode(self) -> bytes:
        return JSONEncoder().encode(self.asdict())


class RecordActor(dramatiq.Actor[..., None]):
    """An actor to send to. Its broker is the one the program set (`dramatiq.set_broker`), else the one of the settings."""

    def __init__(self, route: Route, says: str) -> None:
        # Not Dramatiq's own, which wants a broker and registers there.
        self.actor_name = route.actor
        self.queue_name = route.queue
        self.priority = 0
        self.options: dict[str, Any] = {}
        self.logger = logging.getLogger(f"{__name__}.{route.actor}")
        self.fn = partial(_refuse_to_run, route.actor)
        self.__doc__ = says

    @property
    def broker(self) -> Broker:  # type: ignore[override]
        """Raises `Unavailable` where there is none, `Invalid` where no worker of ours would find what is sent."""
        # `dramatiq.get_broker()` would make one up: RabbitMQ, else a Redis on this machine.
        with _choosing:
            if dramatiq.broker.global_broker is None:
                # Set, so that groups, pipelines and results do not make one up either.
                dramatiq.set_broker(_broker_of_the_settings(self.actor_name))
            broker = dramatiq.broker.global_broker
        if isinstance(broker, StubBroker):  # of a program's tests
            broker.declare_queue(self.queue_name)
        elif not isinstance(broker, RedisBroker):
            raise Invalid(
                f"{self.actor_name} cannot be sent through a {type(broker).__name__}: the worker reads from Redis; "
                "publish with jarvis_client.Publisher(url), which leaves Dramatiq's broker alone"
            )
        return broker

    def message_with_options(self, *, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, **options: Any) -> Message[None]:
        # A group or a pipeline of messages asks Dramatiq for its broker, so it has to be there by now.
        _ = self.broker
        message = super().message_with_options(args=tuple(json_value(args)), kwargs=json_value(kwargs or {}), **options)
        return RecordMessage(**message.asdict())


def _refuse_to_run(actor_name: str, *_args: Any, **_fields: Any) -> NoReturn:
    raise Invalid(f"{actor_name} records nothing in this process: {actor_name}.send(…) it, and the worker records it")


def _broker_of_the_settings(actor_name: str) -> RedisBroker:
    for found in entry_points(group=BROKER_OF_THE_SETTINGS):
        try:
            url, namespace = found.load()()
        except BooksError as error:
            raise Unavailable(f"{actor_name} has no broker: {error}; or set JARVIS_BROKER__URL, or call dramatiq.set_broker(RedisBroker(url=…))") from None
        return RedisBroker(client=connect(url, namespace), namespace=namespace)  # type: ignore[no-untyped-call]
    raise Unavailable(f"{actor_name} has no broker: call dramatiq.set_broker(RedisBroker(url=…)) first, or install jarvis-trading, which reads broker.url")


record_fill = RecordActor(ROUTES["fill"], FORMS["fill"].says)
record_fee = RecordActor(ROUTES["fee"], FORMS["fee"].says)
record_deposit = RecordActor(ROUTES["deposit"], FORMS["deposit"].says)
record_withdrawal = RecordActor(ROUTES["withdrawal"], FORMS["withdrawal"].says)
record_order = RecordActor(ROUTES["order"], FORMS["order"].says)
record_metrics = RecordActor(ROUTES["metrics"], FORMS["metrics"].says)
record_balance = RecordActor(ROUTES["balance"], FORMS["balance"].says)
record_rate = RecordActor(ROUTES["rate"], FORMS["rate"].says)
record_void = RecordActor(ROUTES["void"], FORMS["void"].says)
request_job = RecordActor(JOBS_ROUTE, JOB_SAYS)
