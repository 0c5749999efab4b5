"""What stands beside the units: the wrapper that runs a command as they do, and the drop-ins of the scheduler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
#: As `systemctl show` prints the unit's environment.
ENVIRONMENT = 'JARVIS_CONFIG=/etc/jarvis JARVIS_DATABASE__PATH=/var/lib/jarvis/b.db JARVIS_DATABASE__BACKUP__PATH=/var/lib/jarvis/backups "REMARK=two words"'

needs_root = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("runuser") is None, reason="only root may run a command as another user")


@pytest.fixture
def machine(short_folder: Path) -> Path:
    """A machine with our units, as far as `systemctl show` tells, and a program that says how it was run."""
    short_folder.chmod(0o755)
    programs = {
        "systemctl": f"#!/bin/sh\ncase $3 in User) echo nobody;; Environment) cat {short_folder}/environment;; esac\n",
        "program": '#!/bin/sh\nid -un; umask; env | grep -E "^(JARVIS_|REMARK)" | sort; printf "%s|" "$@"; echo\n',
    }
    for name, text in programs.items():
        (short_folder / name).write_text(text)
        (short_folder / name).chmod(0o755)
    (short_folder / "environment").write_text(ENVIRONMENT + "\n")
    return short_folder


def control(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{machine}:{os.environ['PATH']}", "JARVIS": str(machine / "program"), "BROKER_URL": str(machine / "broker-url")}
    return subprocess.run([DEPLOY / "jarvis-ctl", *arguments], env=environment, capture_output=True, text=True, check=False)


@needs_root
def test_a_command_runs_as_the_services_do(machine):
    (machine / "broker-url").write_text("redis://:secret@localhost/0\n")
    (machine / "broker-url").chmod(0o600)
    done = control(machine, "restore", "--at", "2026-01-01 00:00")
    assert done.stdout.splitlines() == [
        "nobody", "0077", "JARVIS_BROKER__URL=redis://:secret@localhost/0", "JARVIS_CONFIG=/etc/jarvis",
        "JARVIS_DATABASE__BACKUP__PATH=/var/lib/jarvis/backups", "JARVIS_DATABASE__PATH=/var/lib/jarvis/b.db", "REMARK=two words",
        "restore|--at|2026-01-01 00:00|",
    ], done.stderr  # fmt: skip


def test_without_the_units_it_says_what_to_do(machine):
    (machine / "environment").write_text("\n")
    done = control(machine, "backup", "list")
    assert (done.returncode, done.stdout) == (3, "")
    assert "install deploy/systemd" in done.stderr


def test_without_a_command_it_says_how_it_is_called(machine):
    assert control(machine).returncode == 2


def test_the_units_give_every_path_that_a_command_needs():
    """A command that the wrapper runs finds the same books and the same backups as the services."""
    text = (DEPLOY / "systemd" / "jarvis-.service.d" / "10-hardening.conf").read_text()
    named = set(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE))
    assert {"JARVIS_CONFIG", "JARVIS_DATABASE__PATH", "JARVIS_DATABASE__BACKUP__PATH"} <= named


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize(("variant", "exposure"), [("second-path.conf", 0.5), ("second-command.conf", 1.5)])
def test_the_scheduler_with_a_second_place_stays_hardly_exposed(tmp_path, variant, exposure):
    shutil.copytree(DEPLOY / "systemd", tmp_path, dirs_exist_ok=True)
    unit = tmp_path / "jarvis-scheduler.service"
    unit.write_text(unit.read_text().replace("/opt/jarvis/bin/jarvis", sys.executable))
    (tmp_path / "jarvis-scheduler.service.d").mkdir()
    shutil.copy(DEPLOY / "systemd" / variant, tmp_path / "jarvis-scheduler.service.d" / f"60-{variant}")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={exposure * 10:.0f}", str(unit)], capture_output=True, text=True, check=False
    )
    assert rated.returncode == 0, rated.stdout[-500:]
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert verified.stderr == ""
