"""Redis walks through a hash that changes meanwhile and may give an entry more than once: that is one message all the same."""

from __future__ import annotations

from workers.app import create_worker


def test_a_payload_that_redis_gives_twice_goes_into_its_queue_once(broker_server, tmp_path, monkeypatch):
    worker = create_worker(tmp_path / "b.db", broker_server.url)
    ids = [f"lost-{n}".encode() for n in range(150)]
    with broker_server.client() as client:
        client.hset("dramatiq:deposits.msgs", mapping=dict.fromkeys(ids, b"{}"))
        walk = worker.strays._payload_ids

        def twice(keys, args):
            cursor, *found = walk(keys=keys, args=args)
            return [cursor, *found, *found]

        monkeypatch.setattr(worker.strays, "_payload_ids", twice)
        assert worker.strays.take_back_lost_payloads("deposits") == 150
        assert sorted(client.lrange("dramatiq:deposits", 0, -1)) == sorted(ids)
