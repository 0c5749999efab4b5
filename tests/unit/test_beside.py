"""A second process for work that another core can do meanwhile."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import persistence.beside
from persistence.beside import WORTH_BYTES, Companion, Gone, beside, is_worth_it
from persistence.domain.errors import WrongDatabase


def refuse(text: str) -> None:
    raise WrongDatabase(text)


def die_elsewhere(home: int) -> str:
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done here"


def say_who_and_wait(path: str) -> None:
    Path(path).write_text(f"{os.getpid()}\n")
    signal.pause()


def who_waits(path: Path) -> int:
    """The process that has said who it is through a named pipe, once it has."""
    return int(path.read_text())


@pytest.fixture
def said(tmp_path) -> Path:
    os.mkfifo(tmp_path / "who")
    return tmp_path / "who"


def ended(process: int, seconds: float = 30) -> bool:
    """Whether a process that is held by its descriptor ends in time."""
    return bool(select.select([process], [], [], seconds)[0])


def test_the_work_is_done_by_another_process():
    with beside(os.getpid) as theirs:
        assert theirs() != os.getpid()


def test_what_it_raises_is_raised_where_its_result_is_waited_for():
    with beside(refuse, "the third page") as theirs, pytest.raises(WrongDatabase, match="the third page"):
        theirs()


def test_a_second_one_at_the_same_time_works_here():
    with beside(os.getpid) as first, beside(os.getpid) as second:
        assert second() == os.getpid() != first()
    with beside(os.getpid) as third:
        assert third() != os.getpid(), "once the first has ended there is room for another"


def test_one_that_stands_by_answers_in_the_order_it_was_asked_though_nobody_waits_meanwhile():
    with Companion() as other:
        for n in range(200):
            other.ask(divmod, n * 10**6, 1_000)
        other.ask(int, "none")
        assert [other.answer() for _ in range(200)] == [(n * 1_000, 0) for n in range(200)]
        with pytest.raises(ValueError, match="none"):
            other.answer()
        assert not other.has_answered()
        other.ask(os.getpid)
        assert other.answer() != os.getpid()


def test_one_that_stands_by_and_is_killed_says_so_however_it_is_asked():
    with Companion() as other:
        other.ask(die_elsewhere, os.getpid())
        with pytest.raises(Gone):
            other.answer()
        other.ask(os.getpid)
        with pytest.raises(Gone):
            other.answer()


def test_one_that_stands_by_leaves_signals_of_a_stop_to_the_process_that_waits():
    with Companion() as other:
        other.ask(os.getpid)
        process = other.answer()
        for sent in (signal.SIGINT, signal.SIGTERM):
            os.kill(process, sent)
        other.ask(os.getpid)
        assert other.answer() == process


def test_one_that_is_stopped_keeps_nobody_waiting_who_asks_much(monkeypatch):
    monkeypatch.setattr(persistence.beside, "LISTENS_WITHIN_SECONDS", 1)
    with Companion() as other:
        other.ask(os.getpid)
        os.kill(other.answer(), signal.SIGSTOP)
        other.ask(len, bytes(10**7))
        with pytest.raises(Gone):
            other.answer(1)
        assert other.answered(len, b"here") == 4


def test_large_questions_and_large_answers_keep_nobody_waiting_for_the_other():
    with Companion() as other:
        for _ in range(5):
            other.ask(bytes, 10**6)
            other.ask(len, bytes(10**6))
        assert [other.answer() for _ in range(10)] == [bytes(10**6), 10**6] * 5


def test_a_function_that_only_this_program_knows_is_called_here(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os\nfrom persistence.beside import Companion\n\ndef who():\n    return os.getpid()\n\n"
        "with Companion() as other:\n    other.ask(who)\n    assert other.answered(who) == os.getpid()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, tmp_path / "program.py"], env=environment, check=True, timeout=30)


def test_what_is_not_worth_it_is_done_here():
    with beside(os.getpid, worth=False) as theirs:
        assert theirs() == os.getpid()


def test_what_a_killed_process_leaves_undone_is_done_here():
    with beside(die_elsewhere, os.getpid()) as theirs:
        assert theirs() == "done here"


def test_what_cannot_be_started_is_done_here(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with beside(os.getpid) as theirs:
        assert theirs() == os.getpid()


def test_it_ends_with_the_block_that_nobody_waits_in(said):
    with pytest.raises(KeyError), beside(say_who_and_wait, str(said)):
        process = os.pidfd_open(who_waits(said))
        raise KeyError
    assert ended(process)
    os.close(process)


def test_it_ends_with_a_process_that_is_killed(said):
    program = (
        "import sys; from persistence.beside import beside; from test_beside import say_who_and_wait\nwith beside(say_who_and_wait, sys.argv[1]) as t: t()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, str(said)], env=environment) as parent:
        process = os.pidfd_open(who_waits(said))
        parent.kill()
    assert ended(process)
    os.close(process)


def test_a_file_that_is_not_there_is_worth_no_second_process(tmp_path):
    assert not is_worth_it(tmp_path / "missing.db")


def test_a_small_file_is_worth_no_second_process_and_a_large_one_is_where_there_are_two_cores(tmp_path, monkeypatch):
    (tmp_path / "books.db").touch()
    monkeypatch.setattr(persistence.beside, "cores", lambda: 2)
    os.truncate(tmp_path / "books.db", WORTH_BYTES - 1)
    assert not is_worth_it(tmp_path / "books.db")
    os.truncate(tmp_path / "books.db", WORTH_BYTES)
    assert is_worth_it(tmp_path / "books.db")
    monkeypatch.setattr(persistence.beside, "cores", lambda: 1)
    assert not is_worth_it(tmp_path / "books.db")


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({}, 8), ({"a/b": "max 100000"}, 8), ({"a/b": "200000 100000"}, 2), ({"a/b": "150000 100000"}, 1), ({"a/b": "50000 100000"}, 1),
        ({"a/b": "400000 100000", "a": "300000 100000"}, 3), ({".": "100000 100000"}, 1), ({"a/b": "odd"}, 8),
    ],
)  # fmt: skip
def test_a_container_or_a_service_has_as_many_cores_as_its_time_comes_to(tmp_path, monkeypatch, limits, found):
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    for group, limit in limits.items():
        (tmp_path / "groups" / group / "cpu.max").write_text(f"{limit}\n")
    (tmp_path / "own").write_text("0::/a/b\n")
    monkeypatch.setattr(persistence.beside, "_GROUP_OF_THIS", tmp_path / "own")
    monkeypatch.setattr(persistence.beside, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert persistence.beside.cores() == found


def test_without_control_groups_those_it_may_run_on_count(tmp_path, monkeypatch):
    monkeypatch.setattr(persistence.beside, "_GROUP_OF_THIS", tmp_path / "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)))
    assert persistence.beside.cores() == 3
