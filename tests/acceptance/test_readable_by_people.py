"""Every command as a tired reader meets it: at 80 columns, on a light terminal, in another zone, with a name mistyped, through `head`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import command
import pytest
import rich_books
from test_house import commands
from typer.testing import CliRunner

from jarvis.cli import app

#: Every listing, and every other command that shows something of the books.
LISTINGS = (
    ("accounts",), ("transactions", "-a", "main-account"), ("orders", "-a", "main-account"), ("lots", "main-account"), ("positions", "main-account"),
    ("disposals", "main-account"), ("rates",), ("rates", "--account", "main-account"), ("statement", "main-account", "--from", "2026-01-01"),
    ("performance", "demo"), ("performance", "demo", "--summary"), ("performance", "books-only", "--summary"), ("performance", "demo", "--in", "EUR"),
    ("performance", "explain", "demo", "DAY"), ("performance", "history", "demo", "DAY"), ("notes",), ("gaps",), ("jobs", "list"), ("jobs", "history"),
    ("jobs", "show", "0c5f6a7e-restore_drill"), ("backup", "list"), ("backup", "list", "--kept-aside"), ("chain", "events"), ("db", "stats"),
    ("quarantine", "list"), ("quarantine", "show", "1"), ("quarantine", "show", "4"), ("verify", "--quick"),
)  # fmt: skip
#: Of these, an exit code of 1 says that there is something to settle.
FINDINGS = {"gaps", "verify", "jobs show"}
#: What a command cuts, so that its words are not those of the whole.
CUT = "…"


@pytest.fixture(scope="module")
def book():
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    rich_books.make(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def day(book):
    """One whose figures were revised, and on which something was filled."""
    rows = json.loads(command.run("performance", "demo", "--json", folder=book).stdout)
    return rows[-3]["date"]


@pytest.fixture(scope="module")
def whole(book, day):
    """What a command prints where no width is given, asked once."""
    return cache(lambda arguments: shown(book, day, arguments).stdout)


def shown(book: Path, day: str, arguments: tuple[str, ...], **environment: str) -> subprocess.CompletedProcess[str]:
    done = command.run(*(day if word == "DAY" else word for word in arguments), folder=book, **environment)
    assert "Traceback" not in done.stderr
    fine = (0, 1) if arguments[0] in FINDINGS or " ".join(arguments[:2]) in FINDINGS else (0,)
    assert done.returncode in fine, (arguments, done.stderr)
    return done


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken(book, day, whole, arguments, columns):
    narrow = shown(book, day, arguments, COLUMNS=columns).stdout
    assert max(map(len, narrow.splitlines()), default=0) <= int(columns)
    known, wrapped = words_of(whole(arguments)), words_of(narrow)
    assert not [word for word in wrapped - known if CUT not in word], "a cell wraps inside a word"
    for word in wrapped - known:
        head, _, tail = word.partition(CUT)
        assert any(w.startswith(head) and w.endswith(tail) for w in known), f"{word} is cut of nothing"


def words_of(text: str) -> set[str]:
    """Without ages, which go on between two looks, and without what parts one thing from the next."""
    return {*re.sub(r"\d+ (s|min|h) ago|\blook:", "", text).translate(str.maketrans("():,·", "     ")).split()}


@pytest.mark.parametrize("arguments", [listing for listing in LISTINGS if listing[0] not in ("db", "verify") and "show" not in listing], ids=" ".join)
def test_what_gives_way_on_eighty_columns_is_there_with_wide(book, day, whole, arguments):
    wide = shown(book, day, (*arguments, "--wide"), COLUMNS="80")
    assert {word for word in words_of(whole(arguments)) if CUT not in word} <= words_of(wide.stdout)
    assert "--wide" not in wide.stderr


def test_what_is_left_out_for_want_of_width_is_named(book):
    narrow = command.run("performance", "demo", folder=book, COLUMNS="80")
    left_out = re.search(r"left out for want of width: (.*); --wide shows everything", narrow.stderr)[1].split(", ")
    assert "sortino" in left_out
    assert not [name for name in left_out if name in narrow.stdout]
    assert all(word in command.run("performance", "demo", "--wide", folder=book, COLUMNS="80").stdout for name in left_out for word in name.split())


#: An instant of JSON, as distinct from a date.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[^\"]*")
EXACT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_json_has_one_form_of_instants_in_every_zone(book, day, arguments):
    told = shown(book, day, (*arguments, "--json"), JARVIS_TIME_ZONE="Asia/Kolkata").stdout
    found = [] if arguments[0] == "quarantine" and arguments[1] == "show" else INSTANT.findall(told)
    assert all(EXACT.fullmatch(text) for text in found), found
    json.loads(told)


def test_the_heading_names_the_zone_of_the_times_below_it(book):
    for zone, heading in (("UTC", "times in UTC"), ("Asia/Kolkata", "times in Asia/Kolkata"), ("local", "local times")):
        by_option = command.run("--time-zone", zone, "transactions", "-a", "demo", folder=book).stdout
        by_variable = command.run("transactions", "-a", "demo", folder=book, JARVIS_TIME_ZONE=zone).stdout
        assert by_option == by_variable
        assert by_option.splitlines()[0] == f"Transactions of demo ({heading})"
    assert "did you mean Asia/Kolkata?" in said(command.run("--time-zone", "Asia/Kolkatta", "gaps", folder=book))


def said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [
    ("transactions", "-a"), ("orders", "-a"), ("lots",), ("positions",), ("disposals",), ("statement",), ("performance",), ("performance", "list"),
    ("export", "fills", "-a"), ("export", "lots", "-a"), ("rates", "-a"), ("accounts", "close"), ("accounts", "open"), ("accounts", "delete", "--yes"),
    ("rollup", "-a"), ("notes", "-a"),
], ids=" ".join)  # fmt: skip
def test_an_account_that_does_not_exist_is_named_with_the_nearest(book, arguments):
    done = command.run(*arguments, "main-acount", folder=book)
    assert done.returncode == 2
    assert "account main-acount does not exist; did you mean main-account?" in said(done)
    assert "there are books-only, demo, main-account" in said(command.run(*arguments, "xxxxxxxx", folder=book))


def test_a_currency_in_other_letters_is_answered_with_the_right_one(book):
    done = command.run("rates", "eur", folder=book)
    assert (done.returncode, "did you mean EUR?" in said(done)) == (2, True)
    assert "publish a rate record of it" in command.run("rates", "XYZ", folder=book).stderr, "it is held, its rate is not known"


def test_a_period_that_is_not_over_is_said_to_be_not_over(book):
    for arguments in (("statement", "demo", "--year", "2099"), ("lots", "demo", "--date", "2099-01-01"), ("positions", "demo", "--date", "2099-01-01")):
        assert "is not over in UTC" in command.run(*arguments, folder=book).stderr
    for arguments in (("statement", "demo"), ("lots", "demo", "--date", "2026-01-01")):
        assert "not over" not in command.run(*arguments, folder=book).stderr


def test_days_on_which_nothing_moved_are_missed_only_where_an_account_reports_its_worth(book):
    assert "without a row" not in command.run("performance", "books-only", "--summary", folder=book).stderr


@pytest.mark.parametrize("arguments", [
    ("jobs", "list"), ("--help",), *(pytest.param(told, marks=pytest.mark.slow) for told in (("db", "stats"), ("performance", "demo"), ("statement", "--help")))
], ids=" ".join)  # fmt: skip
def test_a_reader_that_has_seen_enough_is_no_error(book, arguments):
    line = f"{sys.executable} -m jarvis {' '.join(arguments)} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=book, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_help_screens_fit_and_speak_of_no_types_of_flags():
    for path in [(), *commands()]:
        lines = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}).stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert not [line for line in lines if "<bool>" in line or " range>" in line], path


#: Yellow, white and their bright and light kin, as foreground: not to be read on white; colours by number are what they are on any terminal.
ONLY_ON_DARK = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:33|37|9[0-7]|38;[0-9;]+)m")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("jobs", "run", "--help"), ("orders", "-a", "nobody"), ("quarantine", "list"), ("rollup", "--rebuild")], ids=" ".join
)
def test_nothing_is_shown_in_a_colour_that_a_light_terminal_hides(book, arguments):
    found = command.on_terminal(book, *arguments)
    assert "\x1b[" in found, "it is a terminal"
    assert not ONLY_ON_DARK.findall(found)


@pytest.mark.parametrize("arguments", [("--help",), ("quarantine", "list"), ("rollup", "--rebuild")], ids=" ".join)
def test_a_terminal_that_knows_no_codes_gets_none(book, arguments):
    assert "\x1b" not in command.on_terminal(book, *arguments, TERM="dumb")


def test_no_color_is_obeyed(book):
    found = command.on_terminal(book, "jobs", "run", "--help", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", found)


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A folder whose books have taken a file that is worth a progress line, and what the terminal showed meanwhile."""
    (tmp_path / "records.ndjson").write_text("".join(json.dumps(record) + "\n" for record in many_deposits(4_000)))
    monkeypatch.setenv("JARVIS_DATABASE__PATH", str(tmp_path / "b.db"))
    monkeypatch.setenv("JARVIS_DATABASE__BACKUP__PATH", str(tmp_path / "backups"))
    assert command.run("db", "init", folder=tmp_path).returncode == 0
    return tmp_path, command.on_terminal(tmp_path, "import", "records.ndjson")


def test_what_takes_its_time_says_on_a_terminal_how_far_it_is_and_nowhere_else(many):
    folder, found = many
    assert re.search(r"records\.ndjson.* [\d.]+/[\d.]+ kB .* s", found), found
    assert "imported 4,000 records" in found
    assert "rolling up acc, 2026-01-" in command.on_terminal(folder, "rollup")
    assert "%" not in command.on_terminal(folder, "verify", "--json")
    assert "%" not in command.run("verify", folder=folder).stderr


@pytest.mark.slow
def test_each_long_command_says_on_a_terminal_how_far_it_is(many):
    folder, _ = many
    assert command.run("rollup", folder=folder).returncode == 0
    for arguments in (("verify",), ("verify", "--chain"), ("backup", "create"), ("backup", "verify"), ("rebuild", "--check"), ("rebuild",), ("db", "check"), (
        "db", "salvage", "salvaged.db"), ("restore", "--latest")):  # fmt: skip
        assert "%" in command.on_terminal(folder, *arguments), arguments


def many_deposits(number: int):
    for n in range(number):
        yield {
            "type": "deposit",
            "deposit_id": f"d{n}",
            "account_id": "acc",
            "currency": "USD",
            "amount": "1",
            "occurred_at": f"2026-01-{n % 28 + 1:02}T00:00:00Z",
        }
