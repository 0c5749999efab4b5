"""An engine that asks is told what became of its records, once it is durable; one that does not ask leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
import redis
from deployed import a_redis, url_in
from dramatiq.brokers.redis import RedisBroker
from parts import closing, wait_until

from jarvis.embedded_broker import server_binary
from jarvis.recipes.redis import URL_FILES
from jarvis_client import AsyncPublisher, Invalid, NoAnswer, Outcome, Publisher
from jarvis_client.contract.answers import answer_key, refusals_key
from jarvis_client.contract.routes import ROUTES, encode
from persistence.database import DatabaseManager
from workers.actors import record_deposit
from workers.app import create_worker

CONFLICT = "deposit 1 of account a is recorded with other content (amount 1, not 2); a mistake is corrected by a void and a new record under a new id"


def deposit(name: object, **changes: object) -> dict[str, object]:
    return {"deposit_id": str(name), "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z", **changes}


@pytest.fixture
def worker(broker_server, tmp_path):
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        yield worker


@pytest.mark.parametrize("protocol", ["", "?protocol=3"])
def test_a_receipt_says_what_became_of_its_record(worker, broker_server, protocol):
    with Publisher(broker_server.url + protocol, answers=True) as publisher:
        first = publisher.publish_deposit(**deposit(1))
        assert (first.wait(), first.wait()) == (Outcome("applied"), Outcome("applied")), "asked again it says the same"
        assert publisher.publish_deposit(**deposit(1)).wait() == Outcome("duplicate")
        refused = publisher.publish_deposit(**deposit(1, amount="2")).wait()
        assert (refused, refused.recorded) == (Outcome("quarantined", "conflict", CONFLICT), False)
        again = publisher.publish_deposit(**deposit(1, amount="2")).wait()
        assert (again.status, again.recorded) == ("quarantined", False), "what is in quarantine already is not recorded either"
        assert publisher.request_job("rollup").wait() == Outcome("applied")
    assert str(first) == first.message_id == json.loads(json.dumps(first)), "a receipt is the id that publishing has always returned"


def test_the_answer_comes_after_the_commit(worker, broker_server):
    with Publisher(broker_server.url, answers=True) as publisher:
        for n in range(20):
            assert publisher.publish_deposit(**deposit(n)).wait().recorded
            assert worker.database.execute_query("SELECT count(*) AS n FROM facts")[0]["n"] == n + 1


@pytest.mark.parametrize("records_per_message", [1, 3, 100])
def test_of_many_records_each_has_its_outcome_in_their_order(worker, broker_server, records_per_message):
    with Publisher(broker_server.url, answers=True) as publisher:
        publisher.publish_deposit(**deposit(1)).wait()
        records = [
            ("deposit", deposit(2)), ("rate", {"currency": "BNB", "usd_rate": "1", "observed_at": "2026-01-01T00:00:00Z"}), ("deposit", deposit(1)),
            ("deposit", deposit(1, amount="9")), ("withdrawal", {**{k: v for k, v in deposit(1).items() if k != "deposit_id"}, "withdrawal_id": "1"}),
            ("deposit", deposit(3)),
        ]  # fmt: skip
        sent = publisher.publish_many(records, records_per_message=records_per_message)
        assert sent == 6
        assert [outcome.status for outcome in sent.wait()] == ["applied", "applied", "duplicate", "quarantined", "applied", "applied"]


def test_the_records_of_a_message_that_is_refused_as_a_whole_have_one_answer(worker, broker_server):
    with broker_server.client() as client:
        message_id, payload = encode(ROUTES["deposit"], [deposit(n) for n in range(1_001)], asks=True)
        client.hset("dramatiq:deposits.msgs", message_id, payload)
        client.rpush("dramatiq:deposits", message_id)
        [answer] = json.loads(client.blpop([answer_key("dramatiq", message_id)], timeout=20)[1])
        assert (answer["status"], answer["reason"]) == ("quarantined", "malformed")
        assert "a batch of 1001 records; at most 1000 are taken" in answer["detail"]
        client.hset("dramatiq:deposits.msgs", "odd", json.dumps({"actor_name": "nobody", "args": [{}], "options": {"answer": True}}))
        client.rpush("dramatiq:deposits", "odd")
        [answer] = json.loads(client.blpop([answer_key("dramatiq", "odd")], timeout=20)[1])
        assert answer["reason"] == "unknown kind"


def test_who_does_not_ask_leaves_no_key_and_cannot_wait(worker, broker_server):
    with Publisher(broker_server.url) as publisher, broker_server.client() as client:
        receipt = publisher.publish_deposit(**deposit(1))
        wait_until(lambda: worker.writer.counts.applied == 1 and not worker.broker.in_flight, "it is recorded and acknowledged")
        assert client.keys("*answer*") == client.keys("*refusals*") == []
        with pytest.raises(Invalid, match="make it with answers=True"):
            receipt.wait()


def test_an_answer_that_nobody_takes_is_gone_after_a_minute(worker, broker_server):
    with Publisher(broker_server.url, answers=True) as publisher, broker_server.client() as client:
        receipt = publisher.publish_deposit(**deposit(1))
        wait_until(lambda: client.exists(answer_key("dramatiq", receipt)), "the answer is there")
        assert 0 < client.ttl(answer_key("dramatiq", receipt)) <= 60


def test_no_message_names_the_key_that_it_is_answered_at(worker, broker_server):
    with broker_server.client() as client:
        for n, option in enumerate(["dramatiq:fills", 1, {"key": "dramatiq:fills"}, "true"]):
            envelope = {"actor_name": "record_deposit", "args": [deposit(n)], "kwargs": {}, "options": {"answer": option}}
            client.hset("dramatiq:deposits.msgs", f"m{n}", json.dumps(envelope))
            client.rpush("dramatiq:deposits", f"m{n}")
        wait_until(lambda: worker.writer.counts.messages == 4 and not worker.broker.in_flight, "all are settled")
        assert client.keys("*answer*") == []
        assert not client.exists("dramatiq:fills")


def test_without_a_worker_there_is_no_answer_and_the_record_is_answered_when_one_comes(broker_server, tmp_path):
    with Publisher(broker_server.url, answers=True) as publisher:
        receipt = publisher.publish_deposit(**deposit(1))
        with pytest.raises(NoAnswer, match="is a worker running"):
            receipt.wait(0.2)
        with create_worker(tmp_path / "b.db", broker_server.url):
            assert receipt.wait(20).status == "applied"


def test_an_answer_that_cannot_be_given_keeps_no_acknowledgement(worker, broker_server):
    with broker_server.client() as client:
        client.execute_command("ACL SETUSER default -pexpire")
        with Publisher(broker_server.url, answers=True) as publisher:
            publisher.publish_deposit(**deposit(1))
            wait_until(lambda: worker.writer.counts.applied == 1 and not worker.broker.in_flight, "it is recorded and acknowledged")
        client.execute_command("ACL SETUSER default +pexpire")


WORKER = """
import os, sys, threading
from workers.actors import record_deposit
from workers.app import create_worker
from workers import answering

def die_instead(self, deliveries, keys_of):
    print("committed", flush=True)
    os.kill(os.getpid(), 9)

answering.Answering.acknowledge = die_instead
with create_worker(sys.argv[1], sys.argv[2]) as worker:
    print("started", flush=True)
    threading.Event().wait()
"""


def test_a_worker_that_dies_between_commit_and_answer_leaves_the_answer_to_its_successor(broker_server, tmp_path):
    """What was applied is a duplicate by then, and what was refused is told as refused: to the waiter, and in the stream."""
    with Publisher(broker_server.url, producer="engine-1", answers=True) as publisher:
        with create_worker(tmp_path / "b.db", broker_server.url):
            publisher.publish_deposit(**deposit(1)).wait(20)
        with subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "b.db"), broker_server.url], stdout=subprocess.PIPE, text=True) as dying:
            try:
                assert dying.stdout is not None
                assert "started\n" in dying.stdout
                sent = publisher.publish_deposits([deposit(2), deposit(1, amount="9")], records_per_message=2)
                assert "committed\n" in dying.stdout
            finally:
                dying.kill()
        with closing(DatabaseManager(tmp_path / "b.db")) as books:
            assert books.execute_query("SELECT count(*) AS n FROM facts")[0]["n"] == 2, "it is in the books, and nobody knows"
        with create_worker(tmp_path / "b.db", broker_server.url):
            applied, refused = sent.wait(20)
        assert (applied.status, applied.recorded) == ("duplicate", True)
        assert (refused.status, refused.reason) == ("quarantined", "conflict")
        assert [refusal.record_id for refusal in publisher.refusals()] == ["1"]


def test_a_producer_reads_what_was_refused_of_it_and_goes_on_where_it_was(worker, broker_server):
    with Publisher(broker_server.url, producer="engine-1", answers=True) as publisher, Publisher(broker_server.url, producer="other") as other:
        publisher.publish_deposit(**deposit(1)).wait()
        other.publish_deposit(**deposit(1, amount="7"))
        publisher.publish_deposits([deposit(1, amount=n) for n in range(2, 5)]).wait()
        found = list(publisher.refusals())
        assert [(r.kind, r.account_id, r.record_id, r.sequence, r.reason) for r in found] == [("deposit", "a", "1", n, "conflict") for n in (2, 3, 4)]
        assert (found[0].detail, json.loads(found[0].record)["amount"]) == (CONFLICT, 2)
        heard = []

        def listen():
            for refusal in publisher.refusals(after=found[-1].entry_id, timeout=None):
                heard.append(refusal)
                return

        listening = threading.Thread(target=listen)
        listening.start()
        publisher.publish_deposit(**deposit(1, amount="99"))
        listening.join(20)
        assert [r.sequence for r in heard] == [5]
        with broker_server.client() as client:
            assert 0 < client.ttl(refusals_key("dramatiq", "engine-1")) <= 30 * 86_400
    with pytest.raises(Invalid, match="give the publisher a name: producer="):
        next(Publisher(broker_server.url).refusals())


def test_the_stream_of_refusals_is_bounded(worker, broker_server):
    with Publisher(broker_server.url, producer="engine-1", answers=True) as publisher:
        publisher.publish_deposit(**deposit(1)).wait()
        publisher.publish_deposits([deposit(1, amount=n) for n in range(2, 3_000)], records_per_message=500).wait()
        with broker_server.client() as client:
            assert 1_000 <= client.xlen(refusals_key("dramatiq", "engine-1")) < 1_200
        assert next(iter(publisher.refusals())).sequence > 1_500, "the oldest are gone, quarantine has them"


def test_asyncio_is_answered_as_well(worker, broker_server):
    async def engine():
        async with AsyncPublisher(broker_server.url, producer="engine-1", answers=True) as publisher:
            assert (await (await publisher.publish_deposit(**deposit(1))).wait()).status == "applied"
            receipts = await asyncio.gather(*(publisher.publish_deposit(**deposit(n)) for n in range(2, 30)))
            assert {str(await receipt.wait()) for receipt in receipts} == {"applied"}
            sent = await publisher.publish_deposits([deposit(1, amount="2"), deposit(31)], records_per_message=2)
            assert [str(outcome) for outcome in await sent.wait()] == ["quarantined(conflict)", "applied"]
            assert (await (await publisher.request_job("seal")).wait()).recorded
            assert [refusal.record_id async for refusal in publisher.refusals(timeout=0.1)] == ["1"]
            with pytest.raises(TypeError, match="deposit_idd"):
                await publisher.publish_deposit(deposit_idd="x")
            return publisher.sequence

    assert asyncio.run(engine()) == 31


def test_a_program_that_sends_with_dramatiq_is_answered_as_well(worker, broker_server, monkeypatch):
    monkeypatch.setattr("dramatiq.broker.global_broker", RedisBroker(url=broker_server.url))
    message = record_deposit.send_with_options(args=(deposit(1),), answer=True)
    with broker_server.client() as client:
        _, answer = client.blpop([answer_key("dramatiq", message.options["redis_message_id"])], timeout=20)
    assert json.loads(answer) == [{"status": "applied"}]


def test_worker_and_engine_need_no_more_for_this_than_the_rights_they_are_given(short_folder, tmp_path):
    a_redis(short_folder)
    arguments = ["--port", "0", "--unixsocket", f"{short_folder}/s", "--dir", str(short_folder), "--save", ""]
    server = subprocess.Popen([server_binary(), *arguments, "--aclfile", f"{short_folder}/etc/redis/users-jarvis.acl"], stdout=subprocess.DEVNULL)

    def url_of(user):
        return f"unix://{user}:{urlsplit(url_in(short_folder, URL_FILES[user])).password}@{short_folder}/s"

    try:
        wait_until(lambda: os.path.exists(f"{short_folder}/s"), "the server listens")
        with create_worker(tmp_path / "b.db", url_of("worker")):
            with Publisher(url_of("publisher"), producer="engine-1", answers=True) as publisher:
                assert publisher.publish_deposit(**deposit(1)).wait().status == "applied"
                assert publisher.publish_deposit(**deposit(1, amount="2")).wait().status == "quarantined"
                assert len(list(publisher.refusals(timeout=0.1))) == 1
            with redis.Redis.from_url(url_of("admin")) as admin:
                assert [e["object"] for e in admin.acl_log() if "client|setinfo" not in e["object"]] == []
    finally:
        server.kill()
        server.wait()
