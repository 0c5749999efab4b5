"""`jarvis alerts` as people run it, and settings of alarms that cannot work."""

from __future__ import annotations

import json

import pytest
from alarms import NOON, Server, Staged, a_job, away, messages_in
from command import listed_on_terminal, run

from jarvis.alerts.channels import CommandHook, NotificationUrl
from jarvis.alerts.memory import NAME
from jarvis.alerts.wiring import create_channels, create_notifier
from jarvis.errors import SettingsError
from jarvis.settings import exposed_secrets, load_settings
from jarvis.status.model import Gaps

TOKEN = "T0KENOFSOMEBODY"


@pytest.fixture
def settings_of(tmp_path):
    """Writes `alerts` of the settings, for the owner alone."""
    file = tmp_path / "config" / "monitoring.yaml"
    file.parent.mkdir()

    def write(**alerts: object) -> None:
        file.write_text(json.dumps({"alerts": alerts}))
        file.chmod(0o600)

    return write


def test_a_test_message_goes_through_every_channel(tmp_path, settings_of):
    with Server() as server:
        urls = tmp_path / "urls"
        urls.write_text(f"# the night shift\njson://{server.address}/{TOKEN}\n\njson://{server.address}/{TOKEN}2\n")
        urls.chmod(0o600)
        settings_of(command=f"sh -c 'cat > {tmp_path}/sent'", urls_file=str(urls), ping=f"http://{server.address}/{TOKEN}")
        done = run("alerts", "test", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "command: works\njson: works\njson 2: works\nping: works\n"
        assert sorted(path for path, _ in server.got) == [f"/{TOKEN}", f"/{TOKEN}", f"/{TOKEN}2"]
    [message] = messages_in(tmp_path / "sent")
    assert (message["kind"], message["alarms"], message["folder"]) == ("test", [], str(tmp_path / "data"))
    assert message["title"].endswith(": a test, nothing is wrong")


def test_a_channel_that_does_not_work_is_named_and_the_others_are_tried(tmp_path, settings_of):
    settings_of(command="sh -c 'echo no route; exit 7'", urls=[f"nonsense://{TOKEN}"], ping=f"http://127.0.0.1:9/{TOKEN}")
    done = run("alerts", "test", "--json", folder=tmp_path)
    assert done.returncode == 1
    tried = {one["channel"]: one for one in json.loads(done.stdout)}
    assert tried["command"]["error"] == "alerts.command ended with 7: no route"
    assert "Apprise does not know such a URL" in tried["nonsense"]["error"]
    assert "refused" in tried["ping"]["error"]
    assert not any(one["delivered"] for one in tried.values())
    assert TOKEN not in done.stdout + done.stderr


def test_with_nobody_to_tell_it_says_what_to_set(tmp_path, settings_of):
    settings_of()
    done = run("alerts", "test", folder=tmp_path)
    assert done.returncode == 2
    assert "set one in monitoring.yaml" in done.stderr
    assert create_notifier(load_settings(tmp_path / "config"), lambda: pytest.fail("looked")) is None
    listed = run("alerts", "list", folder=tmp_path)
    assert (listed.returncode, listed.stdout) == (0, "")
    assert listed.stderr.splitlines()[0] == "no alarm stands"


def test_what_stands_is_listed_with_who_was_told_and_who_is_next(tmp_path, settings_of):
    failing = CommandHook("false")
    failing.name = "json"
    (tmp_path / "data").mkdir()
    staged = Staged(tmp_path / "data" / NAME, CommandHook("true"), failing)
    staged.parts = {**away(staged.now), "jobs": (a_job(failed=True, last_ended_at=NOON),), "gaps": Gaps(missing=3, producers=2, first_noticed_at=NOON)}
    staged.wait(60)
    staged.stop()
    settings_of(command="true", urls=["json://localhost"])
    lines = listed_on_terminal(tmp_path, "alerts", "list")
    assert max(len(line) for line in lines if not line.startswith(("json has not", "no scheduler"))) <= 80
    for line in (
        "CRITICAL: localhost:6379 cannot be used: Connection refused  (JarvisBrokerAway)",
        "  to do: start it, or do what the log line says; recording goes on by itself",
        "  command: told at 2026-11-25 12:00:30 UTC, next at 2026-11-25 12:30:30 UTC", "  not told yet: json", "WARNING: job backup failed  (JarvisJobFailed)",
        "  to do: `jarvis jobs history backup`",
    ):  # fmt: skip
        assert line in lines
    said = run("alerts", "list", "--json", folder=tmp_path)
    first = json.loads(said.stdout)[0]
    assert (first["name"], first["told"][0]["next_at"]) == ("JarvisBrokerAway", "2026-11-25T12:30:30.000000Z")
    assert "json has not delivered since 2026-11-25 12:00:30 UTC: alerts.command ended with 1" in said.stderr
    assert "no scheduler is running, so nobody looks; this is how it stood at 2026-11-25 12:01:00 UTC" in said.stderr


#: Settings of `alerts`, and what is said of them.
MISTAKES = {
    "no list": ({"urls": f"tgram://{TOKEN}"}, "alerts.urls: Input should be a valid tuple"),
    "no URL": ({"urls": [TOKEN]}, "number 1 is no URL; write it as Apprise does"),
    "a quote that is not closed": ({"command": "mail 'me"}, "No closing quotation; close what is quoted"),
    "a blank command": ({"command": " "}, "names no program"),
    "a ping of another kind": ({"ping": f"file:///{TOKEN}"}, "must begin with https:// or http://"),
    "a time without quotes": ({"summary_at": 1020}, "a time of the clock in quotes is needed"),
    "a key that is not there": ({"url": ["x://y"]}, "did you mean urls"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_settings_that_cannot_work_are_refused_and_show_no_secret(case, tmp_path, settings_of):
    alerts, said = MISTAKES[case]
    settings_of(**alerts)
    with pytest.raises(SettingsError) as refused:
        load_settings(tmp_path / "config")
    assert said in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_a_file_of_urls_has_to_be_there_and_to_hold_some(tmp_path, settings_of):
    urls = tmp_path / "urls"
    settings_of(urls_file=str(urls))
    settings = load_settings(tmp_path / "config")
    for content, said in ((None, "does not exist"), ("# none\n", "holds no URL"), (f"json://h\n{TOKEN}\n", f"{urls}: line 2 is no URL")):
        if content is not None:
            urls.write_text(content)
        with pytest.raises(SettingsError, match=said) as refused:
            create_channels(settings)
        assert TOKEN not in str(refused.value)


def test_urls_without_apprise_are_refused_with_what_to_install(tmp_path, settings_of, monkeypatch):
    settings_of(urls=["json://h"])
    monkeypatch.setattr(NotificationUrl, "is_possible", lambda: False)
    with pytest.raises(SettingsError, match=r"pip install 'jarvis-trading\[alerts\]'"):
        create_notifier(load_settings(tmp_path / "config"), lambda: pytest.fail("looked"))


def test_urls_that_others_may_read_are_warned_of(tmp_path, settings_of):
    urls = tmp_path / "urls"
    urls.write_text(f"json://{TOKEN}")
    urls.chmod(0o640)
    settings_of(urls_file=str(urls), ping=f"https://h/{TOKEN}")
    config = tmp_path / "config"
    [warning] = exposed_secrets(config, load_settings(config))
    assert warning == f"{urls} holds a password and can be read by others: chmod 600 {urls}"
    (config / "monitoring.yaml").chmod(0o644)
    assert len(exposed_secrets(config, load_settings(config))) == 2
    shown = run("config", "show", folder=tmp_path)
    assert TOKEN not in shown.stdout + shown.stderr
    assert 'ping: "https://***"' in shown.stdout
