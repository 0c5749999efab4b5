"""The units that operators install, started by a real systemd with all their hardening."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jarvis.embedded_broker import server_binary

HERE = Path(__file__).parent
SOURCE = HERE.parents[1]

pytestmark = [pytest.mark.on_disk, pytest.mark.slow]


def test_the_worker_s_unit_starts_records_is_watched_and_drains(tmp_path):
    shutil.copytree(SOURCE / "deploy" / "systemd", tmp_path / "units")
    (tmp_path / "units" / "jarvis-worker.service.d").mkdir()
    shutil.copy(SOURCE / "deploy" / "systemd" / "redis-unix.conf", tmp_path / "units" / "jarvis-worker.service.d" / "50-redis.conf")
    command = ["bash", str(HERE / "systemd.sh"), str(tmp_path / "units"), sys.prefix, sys.base_prefix, str(SOURCE), str(server_binary())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip()[-300:])
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert said == {
        "start": "0", "Uid": "990", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "recorded": "1",
        "alive_beyond_the_watchdog": "0", "restarted": "1 active", "recorded_by_the_next": "2", "stopped": "inactive success 0", "denied": "0",
    }, done.stderr  # fmt: skip
