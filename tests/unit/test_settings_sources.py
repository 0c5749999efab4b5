"""Settings that are not what they look like: refused with a sentence, whatever lies in the folder or the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jarvis.broker import broker_for_senders, broker_url
from jarvis.errors import SettingsError
from jarvis.settings import exposed_secrets, load_settings, load_settings_with_places
from jarvis.settings_sources import read_yaml
from jarvis_client.contract.errors import Unavailable


def problems(folder: Path, **options: bool) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(folder, **options)
    return refused.value.problems


def test_a_folder_that_was_named_has_to_be_there(tmp_path):
    assert load_settings(tmp_path / "none").broker.url is None
    [said] = problems(tmp_path / "none", named=True)
    assert said.startswith(f"{tmp_path}/none: there is no such folder; correct --config or JARVIS_CONFIG")
    (tmp_path / "file").write_text("")
    assert "is a file; --config and JARVIS_CONFIG name the folder" in problems(tmp_path / "file")[0]
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert "there is no such folder" in problems(tmp_path / "link")[0]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("worker.yaml", "workers.yaml"), ("database.yml", "database.yaml"), ("Workers.yaml", "workers.yaml"), ("scheduler.YAML", "scheduler.yaml"),
        ("databse.yaml", "database.yaml"), ("workers.json", "workers.yaml"), ("scheduler.toml", "scheduler.yaml"),
    ],
)  # fmt: skip
def test_a_file_under_a_name_that_nobody_reads_is_refused(tmp_path, name, meant):
    (tmp_path / name).write_text("worker: {threads: 3}")
    for named in (False, True):
        [said] = problems(tmp_path, named=named)
        assert said.startswith(f"{tmp_path / name}: nobody reads a file of this name; did you mean {meant}?")


def test_what_is_no_settings_may_lie_in_the_folder(tmp_path):
    for name in ("broker-url", "README.md", ".hidden.yaml", "workers.yaml.bak", "workers.yaml~", "..data"):
        (tmp_path / name).write_text("x")
    load_settings(tmp_path, named=True)
    (tmp_path / "strategies.yaml").write_text("x")
    load_settings(tmp_path)
    assert "there are database.yaml, workers.yaml, scheduler.yaml" in problems(tmp_path, named=True)[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"broker: {url: 'redis://a'}\nworker: {}\nbroker: {namespace: x}\n", "line 3: broker stands in line 1 already"),
        (b"worker:\n  threads: 1\n  batch:\n    linger_ms: 1\n    linger_ms: 2\n", "line 5: linger_ms stands in line 4 already"),
        (b"1: x\n", "line 1: '1' is no name of a setting"), (b"on: x\n", "'on' is no name of a setting"), (b"[a, b]: x\n", "a list or a mapping is no name"),
        (b"a: &x [1]\nb: *x\n", "anchors and aliases"), (b"worker: *x\n", "anchors and aliases"),
        (b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "anchors and aliases"), (b"worker: {<<: {threads: 1}}\n", "no name of a setting"),
        (b"worker: " + b"[" * 5_000, "nested deeper"), (b"worker: " + b"[" * 40 + b"]" * 40, "nested deeper"), (b"\x00\x01\x02", "not YAML"),
        (b"\xff\xfe\x00w", "is not UTF-8"), (b"worker: {threads: !!int abc}", "is no value of settings"), (b"worker: !!python/object:os.system x", "no value of"),
        (b"worker: {threads: " + b"9" * 5_000 + b"}", "is no value of settings"), (b"a: 1\n---\nb: 2\n", "not YAML"), (b"worker:\n\tthreads: 1\n", "line 2: not YAML"),
        (b"x" * (2 << 20), "is longer than"), (b'"\\ud800": 1', "is no name of a setting"), (b'"a\\eb": 1', "is no name of a setting"), (b"worker: 5", "worker: Input should be"),
        (b"worker: 2026-13-45", "worker: Input should be"), (b"just text", "must hold keys"), (b"worker: {threads: [[1]]}", "worker.threads: Input should be"),
    ],
)  # fmt: skip
def test_no_content_of_a_file_ends_in_a_trace(tmp_path, content, said):
    (tmp_path / "workers.yaml").write_bytes(content)
    found = problems(tmp_path)
    assert any(said in problem for problem in found), found
    assert all(len(problem) < 500 and problem.isprintable() for problem in found), found


def test_what_is_no_file_is_said_to_be_none(tmp_path):
    (tmp_path / "workers.yaml").mkdir()
    (tmp_path / "database.yaml").symlink_to("../gone.yaml")
    (tmp_path / "scheduler.yaml").symlink_to("scheduler.yaml")
    found = problems(tmp_path)
    assert any("workers.yaml: cannot be read: Is a directory" in p for p in found)
    assert any("database.yaml: is a link to ../gone.yaml, which is not there; mend the link" in p for p in found)
    assert any("scheduler.yaml: cannot be read: Too many levels of symbolic links" in p for p in found)


def test_a_file_that_begins_with_a_byte_order_mark_and_times_that_are_text_are_read(tmp_path):
    (tmp_path / "workers.yaml").write_bytes(b"\xef\xbb\xbfworker: {name: 2026-01-01}\n")
    assert load_settings(tmp_path).worker.name == "2026-01-01"
    assert read_yaml("a: {b: 1}\nc: [1, x]") == ({"a": {"b": 1}, "c": [1, "x"]}, {("a",): 1, ("a", "b"): 1, ("c",): 2})


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("name", ["DATABASE__PATH", "DATABASE__BACKUP__PATH", "DATABASE__BACKUP__SECOND__PATH", "BROKER__URL", "BROKER__URL_FILE"])
def test_a_variable_that_is_set_and_empty_is_refused_where_a_path_or_a_url_belongs(tmp_path, monkeypatch, name, text):
    monkeypatch.setenv(f"JARVIS_{name}", text)
    [said] = problems(tmp_path)
    assert "is empty; name a" in said
    assert f"[JARVIS_{name}]" in said


def test_an_empty_url_in_a_file_is_refused_and_a_key_without_a_value_means_the_embedded_broker(tmp_path):
    (tmp_path / "workers.yaml").write_text("broker:\n  url: ''\n")
    [said] = problems(tmp_path)
    assert said.startswith("broker.url: is empty")
    assert f"[{tmp_path}/workers.yaml:2]" in said
    (tmp_path / "workers.yaml").write_text("broker:\n  url:\n")
    assert load_settings(tmp_path).broker.url is None


def test_a_tilde_is_the_home_and_a_variable_of_the_shell_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "database.yaml").write_text("database: {path: ~/jarvis/j.db, backup: {path: ~root/backups}}\n")
    database = load_settings(tmp_path).database
    assert (str(database.path), str(database.backup.path)) == ("/home/me/jarvis/j.db", os.path.expanduser("~root/backups"))
    for text, said in (
        ("$HOME/j.db", "holds a variable"), ("${DATA}/j.db", "holds a variable"), ("~nobodyofthatname/j.db", "nobody of that name"),
        ("sqlite:///j.db", "is a URL; name a path"), ('"a\\0b"', "a NUL"),
    ):  # fmt: skip
        (tmp_path / "database.yaml").write_text(f"database:\n  path: {text}\n")
        [problem] = problems(tmp_path)
        assert said in problem
        assert problem.endswith(f"[{tmp_path}/database.yaml:2]")
    (tmp_path / "database.yaml").write_text("database: {path: 'a$5/100% b/j.db'}\n")
    assert str(load_settings(tmp_path).database.path) == "a$5/100% b/j.db"


def test_the_folder_of_the_settings_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "workers.yaml").write_text("worker: {threads: 7}")
    assert load_settings(Path("~"), named=True).worker.threads == 7
    assert "holds a variable" in problems(Path("$HOME/config"), named=True)[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; write the broker's URL into it"), (b"\n \n", "is empty"), (b"redis://a\nredis://b\n", "has 2 lines"), (b"\xff\xfe", "is not UTF-8"),
        (b"redis://:hun/ter2@h", "broker.url: holds an @ behind its host"), (b"http://hunter2", "must start with redis://"),
    ],
)  # fmt: skip
def test_a_secret_that_is_no_url_is_refused_and_never_shown(tmp_path, monkeypatch, content, said):
    (tmp_path / "secret").write_bytes(content)
    (tmp_path / "broker-url").write_bytes(content)
    for name, value in (("JARVIS_BROKER__URL_FILE", f"{tmp_path}/secret"), ("CREDENTIALS_DIRECTORY", str(tmp_path))):
        monkeypatch.setenv(name, value)
        [problem] = problems(tmp_path / "none")
        assert said in problem or (b"hun/ter2" in content and "cannot be read" in problem)
        assert "ter2" not in problem
        monkeypatch.delenv(name)


def test_a_secret_file_that_is_not_there_is_refused_wherever_it_was_named(tmp_path, monkeypatch):
    (tmp_path / "workers.yaml").write_text(f"broker: {{url_file: {tmp_path}/none}}\n")
    assert f"broker.url_file: {tmp_path}/none: cannot be read: it does not exist" in problems(tmp_path)[0]
    (tmp_path / "none").symlink_to("elsewhere")
    assert "is a link to elsewhere, which is not there" in problems(tmp_path)[0]
    (tmp_path / "broker-url").symlink_to("elsewhere")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "systemd's credential broker-url" in problems(tmp_path / "nowhere")[0]


def test_of_two_brokers_the_one_of_the_environment_counts_and_of_one_source_neither(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("redis://secret")
    (tmp_path / "workers.yaml").write_text(f"broker: {{url: 'redis://file', url_file: {tmp_path}/secret}}\n")
    assert "they may name two brokers; keep one of them" in problems(tmp_path)[0]
    (tmp_path / "workers.yaml").write_text("broker: {url: 'redis://file'}\n")
    monkeypatch.setenv("JARVIS_BROKER__URL_FILE", f"{tmp_path}/secret")
    assert load_settings(tmp_path).broker.url.get_secret_value() == "redis://secret"
    monkeypatch.setenv("JARVIS_BROKER__URL", "redis://variable")
    assert "keep one of them" in problems(tmp_path)[0]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SYMBOLS__QUOTE_CURRENCIES", "USD,USDT", "must be JSON, such as"), ("WORKER", "x", "must be JSON"), ("SYMBOLS__PAIRS", "[" * 100_000, "must be JSON"),
        ("WORKER__THREADS", "", "worker.threads: Input should be a valid integer"), ("WORKER__THREADS__X", "1", "no such setting"),
        ("SCHEDULER__JOBS__BACKUP__CRN", "0 3 * * *", "scheduler.jobs.backup.crn: no such setting; did you mean cron?"), ("__", "1", "no such setting"),
    ],
)  # fmt: skip
def test_no_variable_ends_in_a_trace(tmp_path, monkeypatch, name, value, said):
    monkeypatch.setenv(f"JARVIS_{name}", value)
    found = problems(tmp_path)
    assert any(said in p for p in found), found


def test_structured_variables_are_json_and_go_over_the_file_key_by_key(tmp_path, monkeypatch):
    (tmp_path / "workers.yaml").write_text("worker: {threads: 3, name: mine}\nsymbols: {usd_like: [USD]}\n")
    monkeypatch.setenv("JARVIS_SYMBOLS__USD_LIKE", '["USD", "DAI"]')
    monkeypatch.setenv("JARVIS_WORKER", '{"threads": 5}')
    monkeypatch.setenv("jarvis_scheduler__jobs__backup__cron", "1 2 * * *")
    settings, places = load_settings_with_places(tmp_path)
    assert (settings.worker.threads, settings.worker.name, settings.symbols.usd_like) == (5, "mine", ("USD", "DAI"))
    assert settings.scheduler.jobs["backup"].cron == "1 2 * * *"
    assert places[("symbols", "usd_like")] == "JARVIS_SYMBOLS__USD_LIKE"


def test_a_password_in_any_place_of_a_url_is_looked_for_in_files_that_others_can_read(tmp_path):
    workers = tmp_path / "workers.yaml"
    for url in ("redis://u:p%40ss@h", "unix:///run/s?password=p%40ss", "unix://:p@ss@/run/s", "rediss://h?ssl_password=p%40ss"):
        workers.write_text(f"broker: {{url: '{url}'}}")
        workers.chmod(0o640)
        [warning] = exposed_secrets(tmp_path, load_settings(tmp_path))
        assert "chmod 600" in warning
        workers.chmod(0o600)
        assert exposed_secrets(tmp_path, load_settings(tmp_path)) == []


def test_a_file_of_tls_that_is_not_there_is_a_mistake_in_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("JARVIS_BROKER__URL", f"rediss://h?ssl_ca_certs={tmp_path}/ca.crt")
    with pytest.raises(SettingsError, match=r"broker.url: ssl_ca_certs names .*/ca.crt, which does not exist; put it there"):
        broker_url(load_settings(tmp_path))
    monkeypatch.setenv("JARVIS_CONFIG", "")
    with pytest.raises(Unavailable, match="JARVIS_CONFIG is set and empty"):
        broker_for_senders()
    monkeypatch.setenv("JARVIS_CONFIG", str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="there is no such folder"):
        broker_for_senders()
