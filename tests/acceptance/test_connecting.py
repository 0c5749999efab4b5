"""Settings and the broker as people meet them at the command: what is said, with which exit code, and never a password."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import run
from parts import wait_until

from jarvis.embedded_broker import running_broker
from persistence.database import DatabaseManager

LINE = '{"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1767225600000000}\n'


def folder_of(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "config").mkdir()
    for name, text in files.items():
        (tmp_path / "config" / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_folder_that_is_not_there_is_refused_by_option_and_by_variable(tmp_path):
    for done in (
        run("--config", "/etc/jarivs", "db", "init", folder=tmp_path),
        run("db", "init", folder=tmp_path, JARVIS_CONFIG="/etc/jarivs"),
        run("db", "init", folder=tmp_path, JARVIS_CONFIG=""),
    ):
        assert done.returncode == 2
        assert "there is no such folder" in done.stderr or "JARVIS_CONFIG is set and empty" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert run("db", "init", folder=tmp_path).returncode == 0


def test_config_show_says_where_each_value_comes_from(tmp_path):
    folder_of(tmp_path, workers="worker:\n  threads: 3\n  batch: {max_records: 7}\n", database="database:\n  path: ~/j.db\n")
    (tmp_path / "secret").write_text("redis://u:hunter2@h/1\n")
    environment = {"JARVIS_WORKER__NAME": "mine", "JARVIS_BROKER__URL_FILE": str(tmp_path / "secret"), "HOME": "/home/me"}
    shown = run("config", "show", folder=tmp_path, **environment)
    assert shown.returncode == 0, shown.stderr
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    for said in (
        "threads: 3 # config/workers.yaml:2", "max_records: 7 # config/workers.yaml:3", 'name: "mine" # JARVIS_WORKER__NAME', "processes: 1 # default",
        'path: "/home/me/j.db" # config/database.yaml:2', f'url: "redis://u:***@h/1" # {tmp_path}/secret',
    ):  # fmt: skip
        assert said in lines, shown.stdout
    as_yaml = yaml.safe_load(shown.stdout)
    assert (as_yaml["worker"]["threads"], as_yaml["database"]["backup"]["second"]["path"], as_yaml["scheduler"]["jobs"]) == (3, None, {})
    as_json = json.loads(run("config", "show", "--json", folder=tmp_path, **environment).stdout)
    assert as_json["worker.threads"] == {"value": 3, "from": "config/workers.yaml:2"}
    assert as_json["logging.level"] == {"value": "info", "from": "default"}
    assert "hunter2" not in shown.stdout + str(as_json)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:hun/ter2@h", "in a user's name and a password write / as %2F"), ("redis://:hun#ter2@h", "write it as %23"),
        ("redis://h?decode_responses=True", "changes the replies"), ("rediss://:hunter2@h?ssl_ca_cert=/x", "did you mean ssl_ca_certs?"),
        ("redis://:hunter2@h?max_connections=1", "a worker needs up to 32"), ("rediss://:hunter2@h?ssl_ca_certs=/nowhere/ca.crt", "names /nowhere/ca.crt, which does not exist"),
        ("", "is empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [("worker", "run"), ("publish", "-"), ("jobs", "run", "backup", "--through-broker")])
def test_a_url_that_cannot_be_used_is_wrong_settings_for_every_command(tmp_path, command, url, said):
    done = run(*command, folder=tmp_path, stdin=LINE, JARVIS_BROKER__URL=url)
    assert done.returncode == 2
    assert done.stderr.startswith("jarvis: broker.url: ")
    assert said in done.stderr
    assert "hunter2" not in done.stderr
    assert "ter2" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broker_that_is_away_is_said_to_be_and_one_that_is_no_redis_too(tmp_path):
    away = run("publish", "-", folder=tmp_path, stdin=LINE, JARVIS_BROKER__URL="redis://:hunter2@127.0.0.1:1")
    assert (away.returncode, "the broker is not reachable: Error 111 connecting to 127.0.0.1:1" in away.stderr) == (3, True)
    assert "is it running, and is broker.url the right one?" in away.stderr


def started(folder: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "jarvis", *command], cwd=folder, env={**os.environ, **environment}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def test_a_worker_is_ready_when_its_books_are_open_and_says_that_its_broker_is_away(short_folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(short_folder / "n"))
        listener.settimeout(60)
        url = f"unix://:hunter2@{short_folder}/none?password=hunter2"
        worker = started(short_folder, "worker", "run", NOTIFY_SOCKET=str(short_folder / "n"), JARVIS_BROKER__URL=url)
        try:
            said = ""
            while "STATUS=broker not reachable since" not in said:
                said += listener.recv(4096).decode() + "\n"
            assert "READY=1\nSTATUS=" in said
            assert f"(the socket {short_folder}/none)" in said
        finally:
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate(timeout=40)
    assert worker.returncode == 0
    [told] = [line for line in map(json.loads, log.splitlines()) if line["event"] == "broker not reachable, trying again"]
    assert (told["level"], told["for_seconds"], "what_to_do" in told) == ("warning", 0, True)
    everything = log + said + "".join(p.read_text(errors="replace") for p in short_folder.rglob("*.lock"))
    assert "hunter2" not in everything


def test_no_password_is_shown_by_a_daemon_its_lock_or_a_second_worker(short_folder, broker_server):
    """A server of ours takes any password only where it has one, so it gets one."""
    with broker_server.client() as client:
        client.config_set("requirepass", "hunter2")
    url = f"{broker_server.url}?password=hunter2"
    up = started(short_folder, "up", JARVIS_BROKER__URL=url, JARVIS_DATABASE__BACKUP__ENABLED="false")
    try:
        lock = short_folder / "data" / "worker-worker.lock"
        wait_until(lambda: lock.exists() and lock.read_text(), "the worker holds its lock")
        second = run("worker", "run", folder=short_folder, JARVIS_BROKER__URL=url)
        assert (second.returncode, "password=***" in second.stderr) == (4, True)
    finally:
        up.send_signal(signal.SIGTERM)
        _, said = up.communicate(timeout=60)
    assert f"  broker    {broker_server.url}?password=***" in said
    assert "hunter2" not in said + second.stderr + lock.read_text()


def test_a_trace_of_a_defect_shows_no_password(tmp_path):
    program = (
        "import sys, jarvis.cli\n"
        "def fail(*a): raise ZeroDivisionError('redis://u:hunter2@h and unix:///s?password=hunter2')\n"
        "jarvis.cli.app = fail\n"
        "jarvis.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError: redis://u:***@h and unix:///s?password=***" in done.stderr
    assert "Traceback" in done.stderr


def test_a_data_folder_with_signs_of_a_url_in_its_name_records_end_to_end(short_folder):
    folder = short_folder / "50%25 off?#[x]"
    folder.mkdir()
    up = started(folder, "up", JARVIS_DATABASE__BACKUP__ENABLED="false")
    try:
        wait_until(lambda: running_broker(folder / "data"), "the broker runs")
        published = run("publish", "-", folder=folder, stdin=LINE)
        assert published.returncode == 0, published.stderr
        database = DatabaseManager(folder / "data" / "jarvis_trading.db")
        wait_until(lambda: database.execute_query("SELECT 1 FROM facts"), "the record is in the books")
        database.close()
    finally:
        up.send_signal(signal.SIGTERM)
        _, said = up.communicate(timeout=60)
    assert up.returncode == 0, said
