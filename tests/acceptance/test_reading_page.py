"""What docs/reading.md shows is asked of a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import command
import pytest
from serving import HISTORY, serving

from jarvis.settings import load_settings
from jarvis.web.desk import AT_A_TIME, MOST_WAITING
from jarvis.web.routes import ROUTES

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()
#: What the page takes for given: an account named main.
RECORDS = [{**record, "account_id": "main"} for record in HISTORY if record["account_id"] == "acc"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    command.run("import", "-", folder=folder, stdin="\n".join(map(json.dumps, RECORDS)))
    command.run("rollup", folder=folder)
    with serving(folder) as served:
        yield served


def test_the_example_of_the_client_runs(server, capsys):
    [example] = blocks("python")
    exec(example.replace("http://127.0.0.1:8787", server.url), names := {})
    assert "open1 1000.5 0 2" in capsys.readouterr().out
    assert str(names["newest"].amount) == "5"


def test_what_curl_asks_is_answered(server):
    asked = re.findall(r"curl 'http://127.0.0.1:8787(.*?)'", PAGE)
    assert len(asked) == 3
    for target in asked:
        assert server.ask(target).status == 200


def test_the_problem_is_told_as_shown(server):
    shown = json.loads(blocks("json")[1])
    assert server.ask("/api/v1/orders?account=main&limit=5000").json == shown


def test_every_path_and_parameter_stands_in_the_table():
    told = {}
    for paths, parameters in re.findall(r"^\| (`/.*?) \| .*? \|(.*?)\|$", PAGE, re.MULTILINE):
        for path in re.findall(r"`(.*?)`", paths):
            told[path] = {*re.findall(r"`(.*?)`", parameters)}
    assert told.pop("/openapi.json") == set()
    aliases = {route.path: {field.alias or name for name, field in route.asked.model_fields.items()} - {"limit", "after"} for route in ROUTES}
    assert told == aliases


def test_the_settings_are_settings(tmp_path):
    [text] = blocks("yaml")
    (tmp_path / "monitoring.yaml").write_text(text)
    assert load_settings(tmp_path).web.hosts == ("books.example.org",)


def test_the_bounds_are_those_that_are_told():
    words = {4: "Four"}
    assert f"{words[AT_A_TIME]} requests are answered at a time, {MOST_WAITING} may wait" in PAGE
