"""The spool's file: what was kept is there after a crash, what was sent is not, and what a crash cut short was never kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jarvis_client import HeldElsewhere, Invalid, SpoolFull, Unavailable
from jarvis_client import spool as spools
from jarvis_client.spool import Spool

MESSAGES = [b'{"n": %d}' % n for n in range(10)]


def reopened(path):
    spool = Spool(path)
    found = spool.first(100)[0]
    spool.close()
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "engine" / "records.spool"


def test_what_was_kept_is_there_in_its_order_for_the_next_run(path):
    spool = Spool(path)
    assert not spool.waiting
    spool.append(MESSAGES[:6])
    spool.append(MESSAGES[6:])
    spool.close()
    assert reopened(path) == MESSAGES
    assert path.stat().st_mode & 0o077 == 0, "records are nobody else's business"


def test_what_was_sent_is_not_there_again(path):
    spool = Spool(path)
    spool.append(MESSAGES)
    found, end = spool.first(4)
    assert found == MESSAGES[:4]
    spool.sent(end)
    spool.close()
    assert reopened(path) == MESSAGES[4:]


def test_a_spool_of_which_everything_was_sent_is_empty_and_short(path):
    spool = Spool(path)
    spool.append(MESSAGES)
    short = path.stat().st_size
    spool.sent(spool.first(100)[1])
    assert (spool.waiting, spool.waiting_bytes) == (False, 0)
    assert path.stat().st_size < short / 2
    spool.append(MESSAGES[:1])
    spool.close()
    assert reopened(path) == MESSAGES[:1]


@pytest.mark.parametrize("cut", range(1, 18))
def test_a_line_that_a_crash_cut_short_is_dropped_and_what_comes_next_is_whole(path, cut):
    spool = Spool(path)
    spool.append(MESSAGES)
    spool.close()
    os.truncate(path, path.stat().st_size - cut)
    again = Spool(path)
    again.append([b"{}"])
    again.close()
    assert reopened(path) == [*MESSAGES[:-1], b"{}"]


def test_zeros_that_a_crash_left_at_the_end_are_dropped(path):
    spool = Spool(path)
    spool.append(MESSAGES)
    spool.close()
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert reopened(path) == MESSAGES


def test_a_damaged_line_is_named_and_its_neighbours_are_sent(path, caplog):
    spool = Spool(path)
    spool.append(MESSAGES)
    spool.close()
    path.write_bytes(path.read_bytes().replace(b'{"n": 3}', b'{"n": 8}'))
    assert reopened(path) == [*MESSAGES[:3], *MESSAGES[4:]]
    assert "damaged and cannot be sent" in caplog.text


def test_a_head_that_a_crash_spoilt_sends_everything_again(path):
    spool = Spool(path)
    spool.append(MESSAGES)
    spool.sent(spool.first(4)[1])
    spool.close()
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"\0" * 10)
    assert reopened(path) == MESSAGES


def test_one_publisher_at_a_time(path):
    spool = Spool(path)
    with pytest.raises(HeldElsewhere, match="in use by another publisher; give each engine a file of its own"):
        Spool(path)
    program = f"from jarvis_client.spool import Spool; Spool({str(path)!r})"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "HeldElsewhere" in other.stderr
    spool.close()
    assert reopened(path) == []


def test_a_full_spool_keeps_nothing_of_what_does_not_fit(path):
    spool = Spool(path, most_bytes=100)
    spool.append(MESSAGES[:2])
    with pytest.raises(SpoolFull, match=r"holds 36 bytes of at most 100; these records are not kept: bring the broker back, or allow more \(spool_bytes\)"):
        spool.append(MESSAGES)
    spool.sent(spool.first(100)[1])
    spool.append(MESSAGES[:5])
    spool.close()
    assert reopened(path) == MESSAGES[:5]


def test_another_file_is_left_as_it_is(path):
    path.parent.mkdir()
    path.write_text("the only copy of somebody's thesis")
    with pytest.raises(Invalid, match="is no spool; name another file"):
        Spool(path)
    assert path.read_text() == "the only copy of somebody's thesis"


def test_a_disk_that_refuses_is_said_and_keeps_nothing(path, monkeypatch):
    spool = Spool(path)
    spool.append(MESSAGES[:3])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(Unavailable, match="No space left on device; look at its folder and the free space"):
            spool.append(MESSAGES[3:])
    spool.append(MESSAGES[5:])
    spool.close()
    assert reopened(path) == [*MESSAGES[:3], *MESSAGES[5:]]


def test_a_long_spool_is_written_anew_without_what_was_sent(path, monkeypatch):
    monkeypatch.setattr(spools, "_COMPACT_BYTES", 1_000)
    spool = Spool(path)
    many = [b"%04d" % n * 50 for n in range(100)]
    spool.append(many)
    long = path.stat().st_size
    spool.sent(spool.first(80)[1])
    assert path.stat().st_size < long / 3
    spool.append(MESSAGES)
    assert spool.first(100)[0] == [*many[80:], *MESSAGES]
    spool.close()
    assert reopened(path) == [*many[80:], *MESSAGES]
