"""Faults of the machine, enumerated: every call that changes a file fails in turn, and every state that a power cut leaves is opened.

Run below the shim: `python -m faults.machine CASE [--every N] [--seed S]` from tests/, with LD_PRELOAD set (`run` does). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import gc
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
#: Failing once, failing from then on, and dying in the place of the call.
FAULTS = [(errno.EIO, 0), (errno.EIO, 1), (errno.ENOSPC, 0), (errno.ENOSPC, 1), (errno.EINTR, 0), (-signal.SIGKILL, 0)]


def built() -> Path:
    """The shim, compiled once per source."""
    target = Path(tempfile.gettempdir()) / f"jarvis-shim-{os.getuid()}-{int((HERE / 'shim.c').stat().st_mtime)}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "shim.so"
            subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", made, HERE / "shim.c", "-ldl"], check=True)
            shutil.copy(made, f"{target}.{os.getpid()}")
            os.replace(f"{target}.{os.getpid()}", target)
    return target


def run(case: str, *, every: int = 1, seed: int = 1, bug: str = "") -> dict[str, int]:
    """Run a case in a process below the shim. Returns its figures; `wrong` says how often something was lost, doubled or half done.

    With a `bug` planted, once is enough.
    """
    environment = {**os.environ, "LD_PRELOAD": str(built()), "PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{HERE.parent}"}
    command = [sys.executable, "-m", "faults.machine", case, "--every", str(every), "--seed", str(seed), "--bug", bug]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class Shim:
    """What the preloaded library offers."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.fault_calls.restype = self._library.fault_hits.restype = ctypes.c_long

    def arm(self, folder: Path, at: int, error: int, for_good: int) -> None:
        self._library.fault_arm(str(folder).encode(), ctypes.c_long(at), error, for_good)

    def disarm(self) -> None:
        self._library.fault_disarm()

    def hits(self) -> int:
        return int(self._library.fault_hits())

    def record(self, folder: Path, path: Path) -> None:
        self._library.fault_record(str(folder).encode(), str(path).encode())

    def note(self, number: int) -> None:
        self._library.fault_note(ctypes.c_long(number))


class Case:
    """A piece of work, and what has to hold after whatever happened to it. `acknowledge` tells the outside that something is durable."""

    def prepare(self, folder: Path) -> None: ...

    def work(self, folder: Path, acknowledge: Callable[[int], None]) -> None: ...

    def check(self, folder: Path, acknowledged: set[int]) -> None:
        """Raises `AssertionError` where something was lost, doubled or left half done."""


class Ingestion(Case):
    """Batches into the ledger, each tried again as the writer does, and acknowledged only after its commit."""

    batches = 8

    def facts(self, batch: int) -> list:  # type: ignore[type-arg]
        from books import NEW_YEAR, deposit, fill

        return [deposit(f"{batch}-{n}", occurred_at=NEW_YEAR + n) for n in range(2)] + [fill(f"{batch}", order_id=f"o{batch}")]

    def prepare(self, folder: Path) -> None:
        from persistence.database import DatabaseManager

        with_ = DatabaseManager(folder / "b.db")
        with_.initialize()
        with_.close()

    def work(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        from jarvis_client.contract.errors import Unavailable
        from persistence.books.ledger import Ledger
        from persistence.database import DatabaseManager

        database = DatabaseManager(folder / "b.db", checkpoint_pages=40)
        database.initialize()
        ledger = Ledger(database)
        for batch in range(self.batches):
            for attempt in range(3):
                try:
                    ledger.post(self.facts(batch))
                    acknowledge(batch)
                    break
                except Unavailable:
                    if attempt == 2:
                        raise
        database.close()

    def check(self, folder: Path, acknowledged: set[int]) -> None:
        from persistence.books.ledger import Ledger
        from persistence.database import DatabaseManager
        from persistence.proof.books_checks import check_books

        database = DatabaseManager(folder / "b.db")
        database.initialize()
        there = {row[0] for row in database.execute_query("SELECT record_id FROM facts")}
        for batch in acknowledged:
            missing = {f[1] for f in self.facts(batch)} - there
            assert not missing, f"acknowledged and lost: {missing}"
        for batch in range(self.batches):
            own = {f[1] for f in self.facts(batch)}
            assert own <= there or not own & there, f"half a batch: {own & there}"
        assert check_books(database) == []
        for batch in range(self.batches):  # what was not acknowledged comes again
            Ledger(database).post(self.facts(batch))
        assert database.execute_query("SELECT count(*) FROM facts")[0][0] == 3 * self.batches, "doubled"
        assert check_books(database) == []
        database.close()


class Backup(Ingestion):
    """A backup of books that hold something, over a folder that has one already."""

    batches = 3

    def prepare(self, folder: Path) -> None:
        from books import NEW_YEAR

        from persistence.books.ledger import Ledger
        from persistence.copies import backups
        from persistence.database import DatabaseManager

        super().prepare(folder)
        database = DatabaseManager(folder / "b.db")
        for batch in range(self.batches):
            Ledger(database).post(self.facts(batch))
        backups.create(database, folder / "backups", NEW_YEAR)
        database.close()

    def work(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        from books import NEW_YEAR

        from persistence.copies import backups
        from persistence.database import DatabaseManager

        database = DatabaseManager(folder / "b.db")
        backups.create(database, folder / "backups", NEW_YEAR + 86_400_000_000)
        acknowledge(1)
        backups.prune(folder / "backups", NEW_YEAR + 86_400_000_000, 30)
        database.close()

    def check(self, folder: Path, acknowledged: set[int]) -> None:
        from books import NEW_YEAR

        from persistence.copies import backups
        from persistence.database import DatabaseManager

        listed = [b for b in backups.present(folder / "backups") if b.proved]
        assert len(listed) >= 1 + len(acknowledged), "a backup is gone"
        for backup in listed:
            backups.verify(backup)
        database = DatabaseManager(folder / "b.db")
        backups.create(database, folder / "backups", NEW_YEAR + 3 * 86_400_000_000)
        database.close()
        left = [p.name for p in (folder / "backups").iterdir() if p.name.startswith(".") and not p.name.startswith((".taking", ".verifying", ".books"))]
        assert not left, f"leftovers: {left}"
        super().check(folder, {0, 1, 2})


class Migration(Backup):
    """Books of an older schema become those of a program that carries one more migration."""

    def work(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        from parts import a_further_migration

        from persistence.database import DatabaseManager

        with a_further_migration():
            database = DatabaseManager(folder / "b.db")
            database.initialize()
            acknowledge(1)
            database.close()

    def check(self, folder: Path, acknowledged: set[int]) -> None:
        from parts import a_further_migration

        from persistence.database import DatabaseManager
        from persistence.proof.books_checks import check_books

        with a_further_migration():
            database = DatabaseManager(folder / "b.db")
            database.initialize()
            assert database.execute_query("SELECT count(*) FROM facts")[0][0] == 9
            assert check_books(database) == []
            database.close()


class Restore(Backup):
    """Going back to a backup, with one more record in the books that it does not hold."""

    def prepare(self, folder: Path) -> None:
        from books import deposit

        from persistence.books.ledger import Ledger
        from persistence.database import DatabaseManager

        super().prepare(folder)
        database = DatabaseManager(folder / "b.db")
        Ledger(database).post([deposit("later")])
        database.close()

    def work(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        from datetime import UTC, datetime

        from jarvis.restoring import restore_books
        from jarvis.settings import Settings
        from jarvis_client.contract.instants import to_instant
        from persistence.copies.choosing import choose

        now = datetime(2026, 2, 1, tzinfo=UTC)
        settings = Settings(database={"path": folder / "b.db", "backup": {"path": folder / "backups"}})  # type: ignore[arg-type]
        restore_books(settings, choose(folder / "backups", to_instant(now)).backup, now, stop=False)
        acknowledge(1)

    def check(self, folder: Path, acknowledged: set[int]) -> None:
        from persistence.database import DatabaseManager
        from persistence.proof.books_checks import check_books

        database = DatabaseManager(folder / "b.db")
        database.initialize()
        there = database.execute_query("SELECT count(*) FROM facts")[0][0]
        assert there == 9 if acknowledged else there in (9, 10), f"{there} facts: neither before nor after"
        assert check_books(database) == []
        database.close()
        if there == 9:
            [aside] = [p for p in folder.glob("b.db.before-restore-*") if not p.name.endswith(("-wal", "-shm", "-mark"))]
            former = DatabaseManager(aside, refuse_loss=False)
            assert former.execute_query("SELECT count(*) FROM facts")[0][0] == 10, "the former books are not kept whole"
            former.close()


CASES: dict[str, Callable[[], Case]] = {"ingestion": Ingestion, "backup": Backup, "migration": Migration, "restore": Restore}


def forked(work: Callable[[], None], *, loud: bool = False) -> int:
    """Run something in a child. Returns its exit status: 0, 1 for an error of ours, 2 for a defect, negative for a signal. `loud`: show any error."""
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            work()
            status = 0
        except AssertionError:
            traceback.print_exc()
            status = 3
        except BaseException as error:
            status = (
                1
                if isinstance(error, OSError) or type(error).__module__.startswith(("persistence", "jarvis_client")) or type(error).__module__ == "apsw"
                else 2
            )
            if status == 2 or loud:
                traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def each_call_fails(case: Case, every: int, seed: int, *, until_wrong: bool = False) -> dict[str, int]:
    """For every call, in turn and each kind of fault: work until it fails, then look with a sound disk."""
    shim, chance = Shim(), random.Random(seed)
    figures = {"faults": 0, "survived": 0, "ended": 0, "wrong": 0}
    with tempfile.TemporaryDirectory(prefix="jf-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        start = Path(scratch) / "start"
        start.mkdir()
        assert forked(lambda: case.prepare(start)) == 0
        for error, for_good in FAULTS:
            at = 1 + (chance.randrange(every) if every > 1 else 0)
            while True:
                folder, journal = Path(scratch) / "run", Path(scratch) / "journal"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(start, folder)
                journal.write_text("")
                hit = Path(scratch) / "hit"
                hit.unlink(missing_ok=True)

                def work(folder: Path = folder, at: int = at, error: int = error, for_good: int = for_good, journal: Path = journal, hit: Path = hit) -> None:
                    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND)
                    shim.arm(folder, at, error, for_good)
                    try:
                        case.work(folder, lambda done: os.write(descriptor, f"{done}\n".encode()) and None)
                    finally:
                        if shim.hits():
                            hit.touch()

                status = forked(work)
                if status == 0 and not hit.exists():
                    break
                acknowledged = {int(n) for n in journal.read_text().split()}
                figures["faults"] += 1
                figures["survived" if status == 0 else "ended"] += 1
                problem = status == 2 or forked(lambda folder=folder, acknowledged=acknowledged: case.check(folder, acknowledged), loud=True) != 0  # type: ignore[misc]
                if problem:
                    figures["wrong"] += 1
                    print(f"call {at}, {errno.errorcode.get(error, error)}, {'for good' if for_good else 'once'}: status {status}", file=sys.stderr)
                    if until_wrong:
                        return figures
                at += every
    return figures


# -- power cuts ---------------------------------------------------------------------------------------------------------------


def recorded(path: Path) -> Iterator[tuple[str, str, str, int, bytes]]:
    """(what, path, other path, offset or number, data) of every call that was recorded."""
    content = path.read_bytes()
    at = 0
    while at < len(content):
        what = chr(content[at])
        first, second, offset, size = struct.unpack_from("<iiqq", content, at + 1)
        at += 25
        names = content[at : at + first].decode(), content[at + first : at + first + second].decode()
        at += first + second
        data = content[at : at + size] if what == "w" else b""
        at += len(data)
        yield what, *names, offset, data


def each_power_cut(case: Case, every: int, seed: int, *, until_wrong: bool = False) -> dict[str, int]:
    """At every call: what was synced is on disk; of the rest nothing, a random part, or torn sectors. Each image is opened and looked at."""
    shim, chance = Shim(), random.Random(seed)
    figures = {"images": 0, "wrong": 0}
    with tempfile.TemporaryDirectory(prefix="jp-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        folder, log = Path(scratch) / "run", Path(scratch) / "log"
        folder.mkdir()
        assert forked(lambda: case.prepare(folder)) == 0
        files = {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

        def work() -> None:
            shim.record(folder, log)
            case.work(folder, shim.note)

        assert forked(work) == 0
        states = _states(files, log, every)
        # What has been lost by a planted mistake shows best at the end, when there is most to lose.
        for number, acknowledged, synced, pending in reversed(list(states)) if until_wrong else states:
            for how in ("none", "part", "torn"):
                image = {n: _applied(content, _survivors(pending.get(n, []), how, chance)) for n, content in synced.items()}
                image |= {n: _applied(b"", _survivors(ops, how, chance)) for n, ops in pending.items() if n not in synced}
                crash = Path(scratch) / "crash"
                shutil.rmtree(crash, ignore_errors=True)
                for n, content in image.items():
                    target = crash / Path(n).relative_to(folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content)
                figures["images"] += 1
                if forked(lambda crash=crash, known=acknowledged: case.check(crash, set(known)), loud=True) != 0:  # type: ignore[misc]
                    figures["wrong"] += 1
                    print(f"power cut after call {number}, {how}", file=sys.stderr)
                    if until_wrong:
                        return figures
    return figures


#: What was done to a file and is not synced: writes and truncations in their order.
Pending = dict[str, list[tuple[str, int, bytes]]]


def _states(files: dict[str, bytes], log: Path, every: int) -> Iterator[tuple[int, frozenset[int], dict[str, bytes], Pending]]:
    """(number of the call, what was acknowledged, what every file holds for sure, what it may hold besides) at every call."""
    pending: Pending = {}
    acknowledged: set[int] = set()
    for number, (what, name, other, offset, data) in enumerate(recorded(log)):
        match what:
            case "n":
                acknowledged.add(offset)
            case "w" | "t":
                pending.setdefault(name, []).append((what, offset, data))
            case "s" if name in files or name in pending:  # a folder is no file
                files[name] = _applied(files.get(name, b""), pending.pop(name, []))
            case "u":
                files.pop(name, None)
                pending.pop(name, None)
            case "l":
                files[other], pending[other] = files.get(name, b""), list(pending.get(name, []))
            case "r":
                if name in files or name in pending:
                    files[other] = files.pop(name, b"")
                    pending[other] = pending.pop(name, [])
        if number % every == 0 or what == "n":
            yield number, frozenset(acknowledged), dict(files), {n: list(ops) for n, ops in pending.items()}


def _applied(content: bytes, operations: list[tuple[str, int, bytes]]) -> bytes:
    made = bytearray(content)
    for what, offset, data in operations:
        if what == "t":
            del made[offset:]
            made.extend(bytes(offset - len(made)))
        else:
            made.extend(bytes(max(0, offset - len(made))))
            made[offset : offset + len(data)] = data
    return bytes(made)


def _survivors(operations: list[tuple[str, int, bytes]], how: str, chance: random.Random) -> list[tuple[str, int, bytes]]:
    if how == "none":
        return []
    kept = [op for op in operations if chance.random() < 0.5]
    if how == "part":
        return kept
    torn = []
    for what, offset, data in kept:
        if what == "t":
            torn.append((what, offset, data))
        for at in range(0, len(data), 512):
            if chance.random() < 0.7:
                torn.append(("w", offset + at, data[at : at + 512]))  # noqa: PERF401
    return torn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=[*CASES, *(f"power-{name}" for name in CASES)])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bug", default="")
    options = parser.parse_args()
    if options.bug:
        from faults import bugs

        bugs.plant(options.bug)
    # Imported before anything forks, so that each child starts with everything.
    import books  # noqa: F401
    import parts  # noqa: F401

    import jarvis.restoring  # noqa: F401
    import persistence.copies.backups  # noqa: F401

    gc.freeze()  # children share what is there by now
    case = CASES[options.case.removeprefix("power-")]()
    figures = (each_power_cut if options.case.startswith("power-") else each_call_fails)(case, options.every, options.seed, until_wrong=bool(options.bug))
    print(json.dumps(figures))


if __name__ == "__main__":
    # As the module that planted mistakes change, not as a second copy of it.
    from faults import machine

    machine.main()
