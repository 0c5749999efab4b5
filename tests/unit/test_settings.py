from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
import structlog

from jarvis.logging import configure_logging
from jarvis.settings import SettingsError, exposed_secrets, load_settings


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(folder)
    return refused.value.problems


def test_without_any_file_the_defaults_hold(tmp_path):
    settings = load_settings(tmp_path / "none")
    assert (str(settings.database.path), settings.database.backup.retention_days, settings.worker.batch.max_records) == ("data/jarvis_trading.db", 30, 1000)
    assert settings.broker.url is None


def test_the_files_that_come_with_the_house_are_valid_and_say_the_defaults():
    shipped = load_settings(Path(__file__).parents[2] / "config")
    defaults = load_settings(Path("/nowhere"))
    assert shipped.model_dump(exclude={"scheduler"}) == defaults.model_dump(exclude={"scheduler"})


def test_the_environment_goes_before_the_files(tmp_path, monkeypatch):
    write(tmp_path, workers="worker:\n  threads: 3\n  name: mine\n")
    monkeypatch.setenv("JARVIS_WORKER__THREADS", "5")
    settings = load_settings(tmp_path)
    assert (settings.worker.threads, settings.worker.name) == (5, "mine")


def test_every_problem_is_reported_at_once_with_the_nearest_name(tmp_path, monkeypatch):
    write(
        tmp_path,
        database="database:\n  pth: x\n  performance: {max_connections: 0}\n",
        workers="broker: {url: 'http://u:secret@host'}\nwroker: {}\n",
        scheduler="scheduler:\n  time_zone: Mars\n  jobs:\n    backup: {cron: '1 2 3'}\n",
    )
    monkeypatch.setenv("JARVIS_DATABASE__PTH", "x")
    found = problems(tmp_path)
    for said in (
        "database.pth: no such setting; did you mean path?", "max_connections: Input should be greater than or equal to 1 (it is 0)",
        "broker.url: must start with redis://", "wroker: no such setting; did you mean worker?", "unknown time zone 'Mars'", "has 3 fields; cron has five",
        "environment variable JARVIS_DATABASE__PTH: no such setting; did you mean JARVIS_DATABASE__PATH?",
    ):  # fmt: skip
        assert any(said in p for p in found), (said, found)
    assert "secret" not in str(found)


def test_an_unknown_job_names_the_ones_there_are(tmp_path):
    write(tmp_path, scheduler="scheduler:\n  jobs:\n    bakcup: {cron: '0 3 * * *'}\n")
    [problem] = problems(tmp_path)
    assert "unknown job 'bakcup'; did you mean backup?" in problem


@pytest.mark.parametrize(("text", "said"), [("a: [", "line 2: not YAML"), ("- a\n", "must hold keys"), ("worker: {}\n", "another file too")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, text, said):
    write(tmp_path, database=text + "\n" if text == "a: [" else text, workers="worker: {}\n")
    assert any(said in p for p in problems(tmp_path))


def test_a_key_without_a_value_means_its_defaults(tmp_path):
    write(tmp_path, workers="worker:\nbroker:\n  url:\n")
    assert load_settings(tmp_path).worker.threads == 1


def test_no_password_reaches_a_log_line(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    configure_logging("info", "json")
    url = "redis://user:hunter2@host:6379/0"
    structlog.get_logger("x").warning("ours", url=url, error=f"cannot reach {url}")
    logging.getLogger("redis").error("theirs %s", url)
    try:
        raise ValueError(url)
    except ValueError:
        logging.getLogger("dramatiq").exception("with its trace")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["ours", "theirs redis://user:***@host:6379/0", "with its trace"]
    assert "hunter2" not in out.getvalue()
    assert all({"level", "timestamp", "logger"} <= set(line) for line in lines)
    logging.getLogger().handlers.clear()
    structlog.reset_defaults()


def test_the_broker_s_url_comes_from_a_file_or_a_credential_too(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("redis://u:pw@host/0\n")
    write(tmp_path, workers=f"broker: {{url_file: {tmp_path}/secret}}\n")
    assert load_settings(tmp_path).broker.url.get_secret_value() == "redis://u:pw@host/0"
    (tmp_path / "workers.yaml").unlink()
    (tmp_path / "broker-url").write_text("unix:///run/x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_settings(tmp_path).broker.url.get_secret_value() == "unix:///run/x"
    monkeypatch.setenv("JARVIS_BROKER__URL", "redis://mine")
    assert load_settings(tmp_path).broker.url.get_secret_value() == "redis://mine"
    monkeypatch.delenv("JARVIS_BROKER__URL")
    monkeypatch.setenv("JARVIS_BROKER__URL_FILE", str(tmp_path / "none"))
    assert any("cannot be read" in p for p in problems(tmp_path))


def test_a_password_that_others_can_read_is_warned_of_with_the_remedy(tmp_path):
    write(tmp_path, workers="broker: {url: 'redis://u:secret@host/0'}\n")
    (tmp_path / "workers.yaml").chmod(0o644)
    [warning] = exposed_secrets(tmp_path, load_settings(tmp_path))
    assert "chmod 600" in warning
    assert "secret" not in warning
    (tmp_path / "workers.yaml").chmod(0o600)
    assert exposed_secrets(tmp_path, load_settings(tmp_path)) == []


def test_a_password_that_is_a_word_of_a_comment_is_not_held_there(tmp_path, monkeypatch):
    write(tmp_path, workers="worker: {threads: 1} # from when on something counts as wrong\n")
    (tmp_path / "workers.yaml").chmod(0o644)
    monkeypatch.setenv("JARVIS_BROKER__URL", "redis://u:wrong@host/0")
    assert exposed_secrets(tmp_path, load_settings(tmp_path)) == []


def test_a_notation_that_stands_for_no_instrument_is_refused(tmp_path):
    (tmp_path / "workers.yaml").write_text("symbols: {pairs: {XBTUSD: XBTUSDT}}")
    with pytest.raises(SettingsError, match="XBTUSD: 'XBTUSDT' names no instrument; write BASE/QUOTE"):
        load_settings(tmp_path)
