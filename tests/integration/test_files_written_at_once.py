"""Files that several processes write at the same moment, as services that start together do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from persistence.files import replaced

#: Each waits for all the others, then does its part at the same instant.
TOGETHER = """
import sys, time
from pathlib import Path
from persistence.files import replaced
from workers.heartbeat import home_of

folder, number, all_of_them = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(folder / f"ready-{number}").touch()
while len(list(folder.glob("ready-*"))) < all_of_them:
    time.sleep(0.001)
print(home_of(folder).split()[0])
for _ in range(60):
    with replaced(folder / "told.json") as file:
        file.write(number.encode() * 1_000)
"""


def test_workers_that_move_into_a_folder_together_agree_on_its_name_and_none_loses_what_it_writes(tmp_path):
    many = 2
    running = [
        subprocess.Popen([sys.executable, "-c", TOGETHER, str(tmp_path), str(n), str(many)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(many)
    ]
    ended = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * many, [errors for _, errors in ended]
    assert len({said for said, _ in ended}) == 1
    assert (tmp_path / "told.json").read_bytes() in [str(n).encode() * 1_000 for n in range(many)]
    assert not list(tmp_path.glob(".*")), "nothing half written is left"


def test_what_a_killed_process_left_half_written_goes_with_the_next_and_what_is_being_written_stays(tmp_path):
    left = tmp_path / ".told.json.0a1b2c3d.partial"
    left.write_bytes(b"half")
    others = tmp_path / ".untold.json.0a1b2c3d.partial"
    others.write_bytes(b"of another file")
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with replaced(tmp_path / "told.json") as file:
            begun.set()
            file.write(b"first begun, last to end")
            go_on.wait(10)

    writer = threading.Thread(target=slowly)
    writer.start()
    begun.wait(10)
    with replaced(tmp_path / "told.json") as file:
        file.write(b"second")
    assert (tmp_path / "told.json").read_bytes() == b"second"
    assert (left.exists(), others.exists()) == (False, True)
    go_on.set()
    writer.join()
    assert (tmp_path / "told.json").read_bytes() == b"first begun, last to end"


def test_a_block_that_raises_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "told.json").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), replaced(tmp_path / "told.json") as file:
        file.write(b"after")
        _ = 1 / 0
    assert os.listdir(tmp_path) == ["told.json"]
    assert (tmp_path / "told.json").read_bytes() == b"before"
