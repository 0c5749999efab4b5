"""Whose books they are, as real processes see it: a file that vanishes, one that is replaced, a broker that knows other books."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import command
import pytest
from parts import BrokerServer, wait_until

from persistence.database import DatabaseManager

AT = "2026-01-01T00:00:00Z"
BOOKS = "data/jarvis_trading.db"


def deposits(*numbers: int) -> str:
    record = {"type": "deposit", "account_id": "acc", "currency": "USDT", "amount": "1", "occurred_at": AT}
    return "".join(f"{json.dumps({**record, 'deposit_id': f'd{n}'})}\n" for n in numbers)


class Place:
    """A folder in which commands and processes run."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.started: list[command.Process] = []
        folder.mkdir(exist_ok=True)

    def run(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        done = command.Jarvis(self.folder, JARVIS_BROKER__URL=self.url)(*arguments, code=code, stdin=stdin)
        return done.stdout + done.stderr

    def start(self, *arguments: str, said: str) -> command.Process:
        """A process of its own, once it has said something."""
        log = self.log(arguments[0])
        with log.open("wb") as said_at:
            process = command.begin(*arguments, folder=self.folder, log=said_at, JARVIS_BROKER__URL=self.url)
        self.started.append(process)
        wait_until(lambda: said in log.read_text() or process.poll() is not None, f"{arguments[0]} says {said!r}")
        assert process.poll() is None, log.read_text()
        return process

    def log(self, process: str) -> Path:
        return self.folder / f"{process}.log"

    @property
    def books(self) -> Path:
        return self.folder / BOOKS

    def facts(self) -> int:
        return json.loads(self.run("db", "stats", "--json"))["rows"]["facts"]

    def book_id(self) -> str:
        with closing(DatabaseManager(self.books)) as database:
            return str(database.execute_query("SELECT book_id FROM book")[0][0])


@contextmanager
def places(server: BrokerServer) -> Iterator[Callable[[Path], Place]]:
    """Makes places, and ends at the end whatever still runs in them."""
    made: list[Place] = []

    def make(folder: Path) -> Place:
        made.append(Place(folder, server.url))
        return made[-1]

    yield make
    for process in (p for place in made for p in place.started):
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def place(short_folder, broker_server):
    with places(broker_server) as made:
        yield made(short_folder / "one")


@pytest.fixture
def two_places(short_folder, broker_server):
    with places(broker_server) as made:
        yield made(short_folder / "one"), made(short_folder / "two")


def remove(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def test_nothing_puts_empty_books_where_there_were_some(place):
    place.run("import", "-", stdin=deposits(1, 2))
    made = place.run("backup", "create").split("proved: ")[1].split()[0]
    book = place.book_id()
    place.books.unlink()

    for what in (("db", "init"), ("import", "-"), ("worker", "run"), ("scheduler", "run"), ("up",), ("rollup",)):
        said = place.run(*what, code=4, stdin=deposits(3))
        for named in (f"{BOOKS}-mark notes commit", "record 2", book, Path(made).name, "2 facts"):
            assert named in said, what
        assert 0 < said.index("jarvis restore --latest") < said.index("jarvis db init --anew")
        assert not place.books.exists(), what
    assert "jarvis restore --latest" in place.run("accounts", code=3)

    place.run("restore", "--latest")
    assert (place.facts(), place.book_id()) == (2, book)


def test_new_books_are_started_on_purpose_and_what_is_left_of_the_old_ones_is_kept(place):
    place.run("import", "-", stdin=deposits(1, 2))
    place.run("backup", "create")
    old = place.book_id()
    assert "is there; new books are started only where none are" in place.run("db", "init", "--anew", code=2)
    place.books.unlink()

    assert "--take-over" in place.run("db", "init", "--anew")
    assert place.facts() == 0
    assert place.book_id() != old
    assert len(list(place.folder.glob(f"{BOOKS}.before-anew-*-mark"))) == 1
    assert {old, place.book_id()} == {*(place.folder / "data/backups/.books").read_text().split()}, "the folder keeps the backups of both"


def test_a_deleted_file_is_rescued_once_by_worker_and_scheduler_and_both_stop(place):
    worker = place.start("worker", "run", said="worker started")
    scheduler = place.start("scheduler", "run", said="job done")
    place.run("publish", "-", stdin=deposits(*range(50)))
    wait_until(lambda: place.facts() == 50, "everything is recorded")
    wait_until(lambda: list(place.folder.glob("data/backups/jarvis-*.manifest.json")), "the first backup is taken")

    remove(place.books, "", "-wal", "-shm", "-mark")

    assert [worker.wait(30), scheduler.wait(30)] == [4, 4]
    [rescued] = place.folder.glob("data/backups/rescued-*.db")
    for process in ("worker", "scheduler"):
        assert f"everything that was committed is kept in {rescued}" in place.log(process).read_text()
    assert not place.books.exists()
    place.run("publish", "-", stdin=deposits(*range(40, 60)))
    assert f"{rescued.name} --unproved" in place.run("worker", "run", code=4)

    place.run("restore", str(rescued), "--unproved")
    assert place.facts() == 50
    place.start("worker", "run", said="worker started")
    wait_until(lambda: place.facts() == 60, "the rest is recorded, what was known is a duplicate")


def test_all_of_up_ends_with_the_file_rescued_once(place):
    place.run("import", "-", stdin=deposits(1))
    everything = place.start("up", said="jarvis is recording")
    wait_until(lambda: list(place.folder.glob("data/backups/jarvis-*.manifest.json")), "the first backup is taken")
    remove(place.books, "")
    assert everything.wait(30) == 4
    [rescued] = place.folder.glob("data/backups/rescued-*.db")
    assert rescued.name in place.log("up").read_text()
    assert "refuses to run; its last lines say why" in place.log("up").read_text()


def test_a_process_never_goes_on_in_other_books_and_takes_no_backup_of_them(place):
    place.run("import", "-", stdin=deposits(1))
    other = place.folder / "other.db"
    with closing(DatabaseManager(other)) as strange:
        strange.initialize()
        strange.checkpoint(truncate=True)
    before = other.read_bytes()
    worker = place.start("worker", "run", said="worker started")
    scheduler = place.start("scheduler", "run", said="scheduler started")
    wait_until(lambda: list(place.folder.glob("data/backups/jarvis-*.manifest.json")), "the first backup is taken")
    kept = sorted(place.folder.glob("data/backups/jarvis-*"))

    place.books.rename(place.folder / "aside.db")
    remove(place.books, "-wal", "-shm")
    shutil.copy(other, place.folder / "data" / "copied")
    (place.folder / "data" / "copied").rename(place.books)
    place.run("publish", "-", stdin=deposits(2))

    assert [worker.wait(30), scheduler.wait(30)] == [4, 4]
    for process in ("worker", "scheduler"):
        assert "holds other books" in place.log(process).read_text()
    assert place.books.read_bytes() == before
    assert sorted(place.folder.glob("data/backups/jarvis-*")) == kept


def test_a_worker_with_other_books_is_refused_by_the_broker_until_it_takes_over(two_places, broker_server):
    one, two = two_places
    first = one.start("worker", "run", said="worker started")
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    two.run("db", "init")

    said = two.run("worker", "run", code=4)
    for named in (one.book_id(), str(one.folder / "data"), two.book_id(), str(two.folder / "data"), "--take-over"):
        assert named in said
    two.run("up", code=4)

    second = two.start("worker", "run", "--take-over", said="worker started")
    two.run("publish", "-", stdin=deposits(1, 2))
    wait_until(lambda: two.facts() == 2, "both are recorded")
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    two.start("worker", "run", said="worker started")
    with broker_server.client() as client:
        assert client.get("dramatiq:__jarvis__.books").decode().startswith(two.book_id())


def test_two_workers_over_two_folders_do_not_share_the_queue_when_the_broker_comes_back(two_places, broker_server):
    one, two = two_places
    broker_server.kill()
    workers = [p.start("worker", "run", said="worker started") for p in (one, two)]
    broker_server.start()
    wait_until(lambda: any(w.poll() is not None for w in workers), "one of them gives way")

    one.run("publish", "-", stdin=deposits(*range(100)))
    wait_until(lambda: one.facts() + two.facts() == 100, "everything is recorded")
    assert sorted((one.facts(), two.facts())) == [0, 100]
    assert sorted((w.poll() for w in workers), key=str) == [4, None]
