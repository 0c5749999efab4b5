"""Who may not share a broker is told so, and exits with code 4."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import command
from parts import wait_until


def test_a_worker_exits_where_another_program_s_worker_is_at_work_on_our_queue(broker_server, tmp_path):
    with broker_server.client() as client:
        client.zadd("dramatiq:__heartbeats__", {"another": time.time_ns() // 1_000_000})
        client.sadd("dramatiq:__acks__.another.jobs", "theirs")
    done = command.run("worker", "run", folder=tmp_path, JARVIS_BROKER__URL=broker_server.url)
    assert done.returncode == 4, done.stderr
    assert "a Dramatiq worker of another program (another) is at work on jobs in the namespace 'dramatiq'" in done.stderr
    assert "broker.namespace (JARVIS_BROKER__NAMESPACE)" in done.stderr


def test_of_two_workers_of_one_name_that_started_without_redis_one_exits_when_it_comes(broker_server, tmp_path):
    """Over a copy of the books: of other ones they are told apart by those."""
    broker_server.kill()
    running = []
    (tmp_path / "a").mkdir()
    assert command.run("db", "init", folder=tmp_path / "a").returncode == 0
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name in "ab":
        with (tmp_path / name / "said").open("w") as said:
            environment = {**os.environ, "JARVIS_BROKER__URL": broker_server.url}
            running.append(subprocess.Popen([sys.executable, "-m", "jarvis", "worker", "run"], cwd=tmp_path / name, env=environment, stderr=said))
    try:
        wait_until(lambda: all("worker started" in (tmp_path / name / "said").read_text() for name in "ab"), "both run")
        broker_server.start()
        wait_until(lambda: any(process.poll() is not None for process in running), "one of them exits")
        codes = [process.poll() for process in running]
        assert sorted(code is None for code in codes) == [False, True], "the other one goes on"
        assert 4 in codes
        refused = tmp_path / "ab"[codes.index(4)] / "said"
        assert "a worker named 'worker' is at work on this broker from" in refused.read_text()
        assert "worker stopped" in refused.read_text(), "in an orderly way"
    finally:
        for process in running:
            process.terminate()
        codes = [process.wait(60) for process in running]
    assert sorted(codes) == [0, 4]
