"""The embedded broker's file after a power cut, or with other bytes in the middle."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import run

from jarvis.embedded_broker import EmbeddedBroker
from jarvis_client import Publisher
from persistence.domain.errors import Damaged

MESSAGES = 20


def deposit(number: int) -> dict[str, object]:
    return {"deposit_id": f"d{number}", "account_id": "acc", "currency": "USDT", "amount": "5.10", "occurred_at": 1_767_225_600_000_000}


@pytest.fixture
def filled(short_folder: Path) -> Path:
    """A data folder whose broker took messages and was stopped. Gives the incremental file."""
    broker = EmbeddedBroker(short_folder)
    with broker.running() as url:
        publisher = Publisher(url)
        for number in range(MESSAGES):
            publisher.publish_deposit(deposit(number))
    return broker.folder / "appendonlydir" / "appendonly.aof.1.incr.aof"


def repaired(folder: Path):
    return run("broker", "repair", folder=folder, JARVIS_DATABASE__PATH=str(folder / "b.db"))


def originals(folder: Path) -> list[Path]:
    return list(folder.glob("broker/appendonlydir.before-repair-*/appendonly.aof.1.incr.aof"))


def test_zeros_behind_the_end_are_cut_and_every_message_is_there(filled, short_folder):
    whole = filled.read_bytes()
    filled.write_bytes(whole + b"\0" * 512)
    with pytest.raises(Damaged, match=r"cannot read its file .*appendonly\.aof\.1\.incr\.aof .*`jarvis broker repair`"), EmbeddedBroker(short_folder).running():
        pass
    done = repaired(short_folder)
    assert done.returncode == 0, done.stderr
    assert "cut 512 bytes" in done.stderr
    assert f"comes up with {MESSAGES} messages" in done.stderr
    [kept] = originals(short_folder)
    assert kept.read_bytes() == whole + b"\0" * 512
    with EmbeddedBroker(short_folder).running():
        pass


def test_bytes_flipped_in_the_middle_cost_one_message_and_the_others_are_written_out(filled, short_folder):
    whole = filled.read_bytes()
    starts = [match.start() for match in re.finditer(rb"\*1\r\n\$5\r\nMULTI", whole)]
    filled.write_bytes(whole[: starts[8] + 1] + b"\xff\xff\xff" + whole[starts[8] + 4 :])
    done = repaired(short_folder)
    assert done.returncode == 1, done.stderr
    assert f"cut {len(whole) - starts[8]:,} bytes off {filled} at byte {starts[8]:,}: what was accepted after that place is lost to the broker" in done.stderr
    assert "comes up with 8 messages" in done.stderr
    assert "publish again what the engine sent before the failure" in done.stderr
    [readable] = short_folder.glob("from-broker-*.ndjson")
    assert f"jarvis import {readable}" in done.stderr
    found = [json.loads(line) for line in readable.read_text().splitlines()]
    assert found == [{"type": "deposit", **deposit(number)} for number in range(8, MESSAGES)]
    imported = run("import", str(readable), folder=short_folder, JARVIS_DATABASE__PATH=str(short_folder / "b.db"))
    assert "12 applied, 0 duplicates, 0 quarantined" in imported.stderr


def test_a_base_file_that_is_broken_is_said_to_be_beyond_repair_and_what_lies_beside_it_is_written_out(filled, short_folder):
    base = filled.parent / "appendonly.aof.1.base.rdb"
    base.write_bytes(b"\xff" * base.stat().st_size)
    done = repaired(short_folder)
    assert done.returncode == 4, done.stderr
    assert "cannot be repaired" in done.stderr
    assert f"({MESSAGES} records)" in done.stderr
    [readable] = short_folder.glob("from-broker-*.ndjson")
    assert len(readable.read_text().splitlines()) == MESSAGES


def test_a_file_in_order_is_left_as_it_is(filled, short_folder):
    before = filled.read_bytes()
    done = repaired(short_folder)
    assert done.returncode == 0, done.stderr
    assert "nothing was cut" in done.stderr
    assert (filled.read_bytes(), originals(short_folder)) == (before, [])


def test_nothing_is_repaired_under_a_server(filled, short_folder):
    broker = EmbeddedBroker(short_folder)
    with broker.running():
        done = repaired(short_folder)
    assert done.returncode == 4
    assert re.search(r"is held by the embedded broker's launcher, process \d+; stop it first", done.stderr)


def test_a_redis_of_ones_own_is_not_repaired_by_us(short_folder):
    done = run("broker", "repair", folder=short_folder, JARVIS_BROKER__URL="redis://localhost:6379/0")
    assert done.returncode == 2
    assert "broker.url names a Redis of yours" in done.stderr


def test_a_folder_without_a_broker_s_file_says_so(short_folder):
    done = repaired(short_folder)
    assert done.returncode == 2
    assert "holds no incremental file" in done.stderr


def test_up_names_the_repair_and_does_not_try_again_and_again(filled, short_folder):
    filled.write_bytes(filled.read_bytes() + b"\0" * 512)
    done = run("up", folder=short_folder, JARVIS_DATABASE__PATH=str(short_folder / "b.db"))
    assert done.returncode == 4, "so that systemd does not try again and again either"
    assert done.stderr.count("`jarvis broker repair` keeps the original aside") == 1
    assert "broker refuses to run; its last lines say why" in done.stderr
