"""A disk that is full, read-only or gone, and what it was before again: nothing acknowledged is lost, and nobody has to restart anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MAY_MOUNT = sys.platform == "linux" and os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0

pytestmark = [
    pytest.mark.on_disk,
    pytest.mark.skipif(not MAY_MOUNT, reason="a small file system of its own needs the right to mount one"),
]

SETTING = """
import subprocess, sys, time
from pathlib import Path
from books import deposit, fill, statuses
from persistence.copies import backups
from persistence.database import DatabaseManager
from jarvis_client.contract import instants
from persistence.domain.errors import Unavailable
from persistence.proof.books_checks import check_books
from persistence.books.ledger import Ledger
from workers.batching import BatchWriter, Submission

disk = Path(sys.argv[1])
def mount(*options):
    subprocess.run(["mount", *options, str(disk)], check=True)
mount("-t", "tmpfs", "-o", "size=6m", "none")
database = DatabaseManager(disk / "b.db")
database.initialize()
ledger = Ledger(database)
def refused(*facts):
    try:
        return str(ledger.post(facts))
    except Unavailable as error:
        return str(error)
ledger.post([deposit("first")])
"""

FULL = """
filler = disk / "filler"
with filler.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
acknowledged, n = [], 0
while "full" not in (said := refused(*(fill(f"{n}-{i}", order_id=f"o{n}-{i}") for i in range(50)))):
    acknowledged.append(n); n += 1
    assert n < 1000, said
try:
    backups.create(database, disk / "backups", instants.now())
    raise SystemExit("a backup without room")
except Unavailable as error:
    assert "free" in str(error), error
assert not [p for p in (disk / "backups").iterdir()], "half a backup"

done = []
writer = BatchWriter(ledger, done.extend, done.extend)
writer.start()
writer.submit(Submission([deposit("while full")], "message", lambda i: b""))
time.sleep(0.5)
assert not done and not writer.ready
filler.unlink()
freed = time.monotonic()
while not done:
    assert time.monotonic() - freed < 5, "writing did not resume within 5 seconds"
    time.sleep(0.01)
writer.stop()
there = {row[0] for row in database.execute_query("SELECT record_id FROM facts")}
assert {f"f{n}-{i}" for n in acknowledged for i in range(50)} <= there and "dwhile full" in there
assert check_books(database) == []
"""

READ_ONLY = """
database.close()  # a file that is open for writing keeps its file system writable
mount("-o", "remount,ro")
said = refused(deposit("no"))
assert "read-only" in said or "cannot be opened" in said, said
assert database.execute_query("SELECT count(*) FROM facts")[0][0] == 1, "reading goes on"
mount("-o", "remount,rw")
assert statuses(ledger.post([deposit("yes")])) == ["applied"]
assert check_books(database) == []
"""

GONE = """
subprocess.run(["umount", "-l", str(disk)], check=True)
said = refused(deposit("no"))
assert "does not exist" in said or "moved, replaced or deleted" in said, said
mount("-t", "tmpfs", "-o", "size=6m", "none")
assert "does not exist" in refused(deposit("no")), "an empty folder is not taken for empty books"
"""


@pytest.mark.parametrize("story", [FULL, READ_ONLY, GONE], ids=["full and free again", "read-only and writable again", "gone"])
def test_a_disk(tmp_path, story):
    code = SETTING + story
    here = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    done = subprocess.run(["unshare", "--mount", sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
