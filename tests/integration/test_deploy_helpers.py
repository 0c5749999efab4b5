"""What stands beside the units: the wrapper that runs a command as they do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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
        "systemctl": (
            f"#!/bin/sh\ncase $1,$3 in cat,*) cat {short_folder}/unit;; *,User) echo nobody;; *,Environment) cat {short_folder}/environment;;"
            f" *,EnvironmentFiles) echo '{short_folder}/more (ignore_errors=yes)';; esac\n"
        ),
        "program": '#!/bin/sh\nid -un; umask; env | grep -E "^(JARVIS_|REMARK)" | sort; printf "%s|" "$@"; echo\n',
    }
    for name, text in programs.items():
        (short_folder / name).write_text(text)
        (short_folder / name).chmod(0o755)
    (short_folder / "environment").write_text(ENVIRONMENT + "\n")
    (short_folder / "unit").write_text("[Service]\n")
    return short_folder


def control(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JARVIS_")},
        "PATH": f"{machine}:{os.environ['PATH']}",
        "PROGRAM": str(machine / "program"),
    }
    return subprocess.run([DEPLOY / "jarvis-ctl", *arguments], env=environment, capture_output=True, text=True, check=False)


@needs_root
def test_a_command_runs_as_the_services_do(machine):
    (machine / "broker-url").write_text("redis://:secret@localhost/0\n")
    (machine / "broker-url").chmod(0o600)
    (machine / "unit").write_text(f"[Service]\nLoadCredential=broker-url:/another\n# a drop-in\nLoadCredential=broker-url:{machine}/broker-url\n")
    (machine / "more").write_text("# JARVIS_WORKER__NAME=not this\n\nJARVIS_LOGGING__LEVEL=$(touch here) debug\n")
    done = control(machine, "restore", "--at", "2026-01-01 00:00")
    assert done.stdout.splitlines() == [
        "nobody", "0077", "JARVIS_BROKER__URL=redis://:secret@localhost/0", "JARVIS_CONFIG=/etc/jarvis",
        "JARVIS_DATABASE__BACKUP__PATH=/var/lib/jarvis/backups", "JARVIS_DATABASE__PATH=/var/lib/jarvis/b.db",
        "JARVIS_LOGGING__LEVEL=$(touch here) debug", "REMARK=two words",
        "restore|--at|2026-01-01 00:00|",
    ], done.stderr  # fmt: skip


@needs_root
def test_a_credential_of_an_earlier_choice_is_not_taken(machine):
    (machine / "broker-url").write_text("redis://:secret@localhost/0\n")
    assert "BROKER__URL" not in control(machine, "verify").stdout


@needs_root
def test_without_the_units_it_says_what_to_do(machine):
    (machine / "environment").write_text("\n")
    done = control(machine, "backup", "list")
    assert (done.returncode, done.stdout) == (3, "")
    assert "jarvis deploy systemd" in done.stderr


@needs_root
def test_only_root_may_use_it(machine):
    done = subprocess.run(
        ["runuser", "-u", "nobody", "--", DEPLOY / "jarvis-ctl", "verify"], capture_output=True, text=True, check=False, cwd="/"
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert "sudo jarvis-ctl verify" in done.stderr


def test_without_a_command_it_says_how_it_is_called(machine):
    assert control(machine).returncode == 2


def test_the_units_give_every_path_that_a_command_needs():
    """A command that the wrapper runs finds the same books and the same backups as the services."""
    text = (DEPLOY / "systemd" / "jarvis-.service.d" / "10-hardening.conf").read_text()
    named = set(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE))
    assert {"JARVIS_CONFIG", "JARVIS_DATABASE__PATH", "JARVIS_DATABASE__BACKUP__PATH"} <= named
