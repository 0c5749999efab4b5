"""Programs that send with Dramatiq: the actors they import, the broker these take, and what the worker makes of each form."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import dramatiq
import dramatiq.broker
import fakeredis
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.encoder import PickleEncoder

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS
from jarvis_client.contract.errors import Invalid, MalformedRecord, Unavailable
from jarvis_client.contract.outcome import Reason, Refusal
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES
from workers import actors
from workers.actors import RecordActor, record_deposit, record_fill, request_job
from workers.broker import LedgerBroker
from workers.delivery import bundles_of
from workers.envelope import content_of, refused
from workers.intake import Intake, declare_actors
from workers.replay import facts_of
from workers.wire import decode_json, record_slices

DEPOSIT = {"deposit_id": "d1", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}
FORMS = [
    (lambda actor, record: actor.send(record), "args"),
    (lambda actor, record: actor.send(record=record), "record="),
    (lambda actor, record: actor.send(**record), "fields"),
]
EACH_FORM = pytest.mark.parametrize("send", [form for form, _ in FORMS], ids=[name for _, name in FORMS])


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch, tmp_path):
    """As a program starts: no broker set, and no settings in the folder."""
    monkeypatch.setattr(dramatiq.broker, "global_broker", None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    return fakeredis.FakeServer()


@pytest.fixture
def client(server):
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
def stock(client):
    broker = RedisBroker(client=client)
    dramatiq.set_broker(broker)
    return broker


class Books:
    """A writer that keeps what it is given."""

    def __init__(self):
        self.items = []

    def submit(self, *submissions):
        for submission in submissions:
            self.items += submission.items
        return True


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def worker(server, books):
    """A worker's broker and actors, without threads: `worker.work()` fetches and runs what is there."""
    broker = LedgerBroker(client=fakeredis.FakeRedis(server=server))
    intake = Intake(broker, books, DEFAULT_CONVENTIONS)
    broker.on_malformed = intake.refuse
    declare_actors(broker, intake)

    def work():
        for queue in (*sorted(broker.queues), *sorted(broker.delay_queues)):
            for bundle in bundles_of(filter(None, broker.fetch(queue))):
                broker.emit_before("process_message", bundle)
                broker.get_actor(bundle.actor_name)(*bundle.args, **bundle.kwargs)
                broker.emit_after("process_message", bundle)

    broker.work = work
    return broker


def envelope(**changes):
    return {"queue_name": "deposits", "actor_name": "record_deposit", "args": [DEPOSIT], "kwargs": {}, "options": {}, "message_id": "m", **changes}


def push(client, payload, queue="deposits"):
    client.hset(f"dramatiq:{queue}.msgs", "m", payload)
    client.rpush(f"dramatiq:{queue}", "m")


# -- what can be imported -------------------------------------------------------------------------------------------------


def test_every_actor_of_the_contract_can_be_imported_by_its_name():
    for kind, route in {**ROUTES, "job": JOBS_ROUTE}.items():
        actor = getattr(actors, route.actor)
        assert isinstance(actor, dramatiq.Actor), kind
        assert (actor.actor_name, actor.queue_name) == (route.actor, route.queue)
        assert actor.__doc__
        assert route.actor in str(actor)
        assert route.queue in repr(actor)
    assert len([a for a in vars(actors).values() if isinstance(a, RecordActor)]) == len(ROUTES) + 1


def test_importing_sets_connects_opens_and_reads_nothing(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "workers.yaml").write_text("broker: nonsense")
    program = """
import sys
def look(event, args):
    assert not event.startswith(("socket.connect", "sqlite3.")), event
    assert event != "open" or "workers.yaml" not in str(args[0]), args
sys.addaudithook(look)
from workers.actors import record_fill
import dramatiq.broker
print(dramatiq.broker.global_broker, "apsw" in sys.modules, "jarvis" in sys.modules, "yaml" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split(), done.stderr) == (["None", "False", "False", "False"], "")


def test_an_actor_that_is_called_says_where_it_runs():
    with pytest.raises(Invalid, match=r"record_fill records nothing in this process: record_fill\.send"):
        record_fill(DEPOSIT)


# -- which broker ---------------------------------------------------------------------------------------------------------


def test_a_broker_that_the_program_set_is_used_and_learns_of_no_actor(stock, client):
    record_deposit.send(DEPOSIT)
    assert client.llen("dramatiq:deposits") == 1
    assert (stock.get_declared_actors(), stock.get_declared_queues()) == (set(), set()), "else its own workers would take our messages"


def test_a_broker_of_ours_will_do(server, client):
    dramatiq.set_broker(LedgerBroker(client=client))
    record_deposit.send(DEPOSIT)
    assert client.llen("dramatiq:deposits") == 1


def test_the_broker_is_looked_up_at_every_message(client, stock):
    record_deposit.send(DEPOSIT)
    dramatiq.set_broker(RedisBroker(client=client, namespace="other"))
    record_deposit.send(DEPOSIT)
    assert (client.llen("dramatiq:deposits"), client.llen("other:deposits")) == (1, 1)


@pytest.mark.parametrize("first", [lambda: record_fill.message({}), lambda: record_fill.send({})], ids=["message", "send"])
def test_without_a_broker_the_error_says_what_to_set_and_none_is_made_up(first):
    with pytest.raises(Unavailable) as raised:
        first()
    said = str(raised.value)
    assert "record_fill has no broker" in said
    assert all(remedy in said for remedy in ("jarvis up", "broker.url", "JARVIS_BROKER__URL", "dramatiq.set_broker(RedisBroker(url=…))"))
    assert "\n" not in said
    assert dramatiq.broker.global_broker is None


@pytest.mark.parametrize("place", ["file", "environment", "another folder"])
def test_without_a_broker_the_one_of_the_settings_is_taken_for_groups_too(monkeypatch, tmp_path, place):
    if place == "environment":
        monkeypatch.setenv("JARVIS_BROKER__URL", "redis://127.0.0.9:7777/3")
        monkeypatch.setenv("JARVIS_BROKER__NAMESPACE", "books")
    else:
        folder = tmp_path / ("config" if place == "file" else "elsewhere")
        folder.mkdir()
        (folder / "workers.yaml").write_text("broker: {url: redis://127.0.0.9:7777/3, namespace: books}")
        if place == "another folder":
            monkeypatch.setenv("JARVIS_CONFIG", str(folder))
    group = dramatiq.group([record_fill.message(fill_id="f")])
    broker = record_fill.broker
    assert group.broker is broker
    where = broker.client.connection_pool.connection_kwargs
    assert (where["host"], where["port"], where["db"], broker.namespace) == ("127.0.0.9", 7777, 3, "books")


def test_settings_that_cannot_be_used_are_named(monkeypatch):
    monkeypatch.setenv("JARVIS_BROKER__URL", "amqp://x")
    monkeypatch.setenv("JARVIS_WORKER__NAMES", "x")
    with pytest.raises(Unavailable, match=r"JARVIS_WORKER__NAMES: no such setting.*broker\.url: must start with redis://"):
        record_fill.send({})


def test_where_nobody_knows_the_settings_the_error_says_so(monkeypatch):
    monkeypatch.setattr(actors, "entry_points", lambda group: [])
    with pytest.raises(Unavailable, match=r"call dramatiq\.set_broker"):
        record_fill.send({})


def test_a_broker_that_no_worker_of_ours_reads_is_refused():
    class RabbitmqBroker(dramatiq.Broker):
        pass

    dramatiq.set_broker(RabbitmqBroker())
    with pytest.raises(Invalid, match=r"through a RabbitmqBroker: the worker reads from Redis; publish with jarvis_client.Publisher"):
        record_fill.send({})


def test_a_stub_broker_of_a_programs_tests_takes_what_is_sent():
    stub = StubBroker()
    dramatiq.set_broker(stub)
    record_fill.send(fill_id="f")
    assert json.loads(stub.queues["fills"].get_nowait())["kwargs"] == {"fill_id": "f"}


def test_what_is_sent_is_json_whatever_a_program_encodes_its_own_with(stock, client, worker, books, monkeypatch):
    monkeypatch.setattr("dramatiq.message.global_encoder", PickleEncoder())
    record_deposit.send(DEPOSIT)
    [payload] = client.hvals("dramatiq:deposits.msgs")
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(payload)
    worker.work()
    assert [item.deposit_id for item in books.items] == ["d1"]


# -- what the worker takes ------------------------------------------------------------------------------------------------


@EACH_FORM
def test_decimals_and_times_are_sent_as_text(stock, worker, books, send):
    send(record_deposit, {**DEPOSIT, "amount": Decimal("0.10"), "occurred_at": datetime(2026, 1, 1, tzinfo=UTC)})
    worker.work()
    [fact] = books.items
    assert (fact.amount, fact.occurred_at) == (Decimal("0.1"), 1_767_225_600_000_000)


@EACH_FORM
def test_each_form_records_the_same(stock, worker, books, send):
    send(record_deposit, DEPOSIT)
    worker.work()
    [deposit] = books.items
    assert (type(deposit).__name__, deposit.deposit_id, str(deposit.amount)) == ("Deposit", "d1", "1")


@EACH_FORM
def test_a_bad_record_is_quarantined_by_its_own_bytes_and_can_be_replayed(stock, worker, books, send):
    bad = {**DEPOSIT, "amount": "-1"}
    send(record_deposit, bad)
    worker.work()
    [refusal] = books.items
    assert json.loads(refusal.raw) == bad
    assert (refusal.kind, refusal.account_id, refusal.record_id, refusal.reason) == ("deposit", "a", "d1", "malformed")
    [fact] = facts_of(refusal.raw.replace(b'"-1"', b'"1"'), refusal.kind, DEFAULT_CONVENTIONS)
    assert fact.deposit_id == "d1"


@pytest.mark.parametrize("send", [lambda records: record_deposit.send(records), lambda records: record_deposit.send(record=records)], ids=["args", "record="])
def test_a_batch_is_taken_either_way_and_a_bad_record_of_it_is_refused_alone(stock, worker, books, send):
    send([DEPOSIT, {**DEPOSIT, "deposit_id": "d2", "amount": "x"}, {**DEPOSIT, "deposit_id": "d3"}])
    worker.work()
    assert [item.record_id if isinstance(item, Refusal) else item.deposit_id for item in books.items] == ["d1", "d2", "d3"]
    assert json.loads(books.items[1].raw)["amount"] == "x"


@EACH_FORM
def test_a_job_is_requested_either_way(stock, worker, books, send):
    send(request_job, {"job": "rollup", "account_id": "a"})
    worker.work()
    assert [item.job for item in books.items] == ["rollup"]


def test_a_delayed_message_is_recorded(stock, client, worker, books):
    record_deposit.send_with_options(args=(DEPOSIT,), delay=60_000)
    assert client.llen("dramatiq:deposits.DQ") == 1
    worker.work()
    assert [item.deposit_id for item in books.items] == ["d1"]


def test_options_about_how_dramatiq_works_change_nothing(stock, worker, books):
    harmless = {"retries": 2, "max_retries": 3, "traceback": "Traceback …", "time_limit": 1000, "max_age": 5, "min_backoff": 1, "requeue_timestamp": 7}
    record_deposit.send_with_options(args=(DEPOSIT,), **harmless, on_success=None, pipe_ignore=True, store_results=True, notify_shutdown=True)
    dramatiq.group([record_deposit.message({**DEPOSIT, "deposit_id": "d2"})]).run()
    worker.work()
    assert [item.deposit_id for item in books.items] == ["d1", "d2"]


def test_a_label_of_the_engines_own_beside_args_changes_nothing(client, worker, books):
    push(client, json.dumps(envelope(trace_id="t", priority=5)).encode())
    worker.work()
    assert [item.deposit_id for item in books.items] == ["d1"]


def test_what_another_actor_pipes_to_ours_is_recorded(stock, worker, books):
    piped = (record_fill.message() | record_deposit.message(DEPOSIT)).messages[0].options["pipe_target"]
    stock.enqueue(dramatiq.Message(**piped))
    worker.work()
    assert [item.deposit_id for item in books.items] == ["d1"]


# -- what it does not take ------------------------------------------------------------------------------------------------

OTHER = {"queue_name": "mails", "actor_name": "send_mail", "args": [], "kwargs": {}, "options": {}, "message_id": "n", "message_timestamp": 1}
LOSING = [
    ({"args": [DEPOSIT, DEPOSIT]}, "2 positional and 0 keyword arguments", "d1"),
    ({"args": [DEPOSIT, None]}, "2 positional and 0 keyword arguments", "d1"),
    ({"args": [DEPOSIT, {**DEPOSIT, "deposit_id": "d2"}]}, "2 positional and 0 keyword arguments", None),
    ({"args": [DEPOSIT], "kwargs": {"note": "x"}}, "1 positional and 1 keyword arguments (note)", "d1"),
    ({"args": [DEPOSIT], "kwargs": {"record": DEPOSIT}}, "1 positional and 1 keyword arguments (record)", "d1"),
    ({"args": [], "kwargs": {"record": DEPOSIT, "note": "x"}}, "0 positional and 2 keyword arguments (record, note)", "d1"),
    ({"args": [DEPOSIT], "kwargs": [1]}, "kwargs is [1]", "d1"),
    ({"args": DEPOSIT}, "it must be a list", None),
    ({"record": DEPOSIT}, "beside args the message has record", "d1"),
    ({"fee": "1", "label": "x"}, "beside args the message has fee, which", "d1"),
    ({"options": {"pipe_target": OTHER}}, "the option pipe_target asks to send 'send_mail' on", "d1"),
    ({"options": {"group_completion_uuid": "u", "group_completion_callbacks": [OTHER]}}, "the option group_completion_uuid", "d1"),
    ({"options": {"group_completion_callbacks": [OTHER]}}, "the option group_completion_callbacks asks to send 'send_mail' on", "d1"),
    ({"options": {"on_success": "send_mail"}}, "the option on_success asks to send 'send_mail' on", "d1"),
    ({"options": {"on_failure": "send_mail"}}, "the option on_failure", "d1"),
    ({"options": {"on_retry_exhausted": "send_mail"}}, "the option on_retry_exhausted", "d1"),
    ({"options": {"a_middleware_of_theirs": {"then": 1, **OTHER}}}, "the option a_middleware_of_theirs asks to send 'send_mail' on", "d1"),
    ({"options": ["x"]}, "options is ['x']", "d1"),
    ({"args": [[DEPOSIT, {**DEPOSIT, "deposit_id": "d2"}]], "options": {"on_success": "x"}}, "the option on_success", None),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "why", "record_id"), LOSING, ids=[why for _, why, _ in LOSING])
def test_a_message_of_which_something_would_be_lost_is_quarantined_whole_with_the_reason(client, worker, books, changes, why, record_id):
    payload = json.dumps(envelope(**changes)).encode()
    push(client, payload)
    worker.work()
    [refusal] = books.items
    assert refusal.raw == payload
    assert why in refusal.detail
    assert refusal.detail.startswith("deposits: ")
    assert len(refusal.detail) < 500
    assert (refusal.reason, refusal.kind, refusal.record_id) == ("malformed", "deposit", record_id)
    assert refusal.account_id == (None if changes == {"args": DEPOSIT} else "a")


def test_nothing_at_all_is_no_record(stock, worker, books):
    record_deposit.send()
    worker.work()
    [refusal] = books.items
    assert "the message carries no record" in refusal.detail


@pytest.mark.parametrize("changes", [{"options": {"pipe_target": OTHER}}, {"fee": "1"}, {"options": {"on_failure": "x"}, "args": [], "kwargs": DEPOSIT}])
def test_somebody_who_has_read_the_reason_can_replay_the_record_without_the_rest(changes):
    [fact] = facts_of(json.dumps(envelope(**changes)).encode(), None, DEFAULT_CONVENTIONS)
    assert fact.deposit_id == "d1"


def test_what_is_ambiguous_stays_ambiguous_when_replayed():
    with pytest.raises(MalformedRecord, match="some would be dropped"):
        facts_of(json.dumps(envelope(kwargs={"note": "x"})).encode(), None, DEFAULT_CONVENTIONS)


def test_a_whole_message_that_closes_a_gap_says_so():
    numbered = {**DEPOSIT, "producer": "p", "sequence": 7}
    refusal = refused(json.dumps(envelope(args=[numbered], kwargs={"x": 1})).encode(), MalformedRecord("no"), "deposits")
    assert (refusal.producer, refusal.sequence) == ("p", 7)


def test_the_reason_travels_with_the_error(client, worker, books):
    push(client, json.dumps(envelope(actor_name="send_mail")).encode())
    worker.work()
    [refusal] = books.items
    assert (refusal.reason, refusal.kind) == (str(Reason.UNKNOWN_KIND), None)
    assert MalformedRecord("x").reason is Reason.MALFORMED


def test_a_batch_that_is_too_large_is_refused_with_its_kind(client, worker, books):
    push(client, json.dumps(envelope(args=[[DEPOSIT] * 1001])).encode())
    worker.work()
    [refusal] = books.items
    assert "a batch of 1001 records" in refusal.detail
    assert (refusal.kind, refusal.account_id) == ("deposit", "a")


SLICES = [
    (b'{"args": [ {"a": 1} ], "kwargs": {}}', [b'{"a": 1}']),
    (b'{"kwargs" : {"a" : 1 }, "args" : [ ]}', [b'{"a" : 1 }']),
    (b'{"args":[],"kwargs":{"record": {"a":1.50}}}', [b'{"a":1.50}']),
    (b'{"args":[],"kwargs":{"record": [ {"a":1} , 2 ]}}', [b'{"a":1}', b"2"]),
    (b'{"args":[],"kwargs":{"record": 5, "record": {"b": "\xff"}}}', [b'{"b": "\xff"}']),
    (b'{"args":[],"kwargs":{}}', [b"{}"]),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "slices"), SLICES)
def test_the_bytes_of_a_record_are_found_wherever_it_is(payload, slices):
    assert record_slices(payload) == slices
    assert record_slices(b'{"args": [], "x": 1}') == [b'{"args": [], "x": 1}']


def test_the_record_of_an_envelope_is_the_one_whose_bytes_are_kept():
    for payload, slices in SLICES[:5]:
        content = content_of(decode_json(payload))
        assert [decode_json(s) for s in slices] == (content if type(content) is list else [content])


def test_a_worker_answers_for_what_it_could_not_read(client, worker, books):
    push(client, b"{")
    worker.work()
    assert (len(books.items), worker.unsubmitted, worker.in_flight) == (1, 0, 1)
