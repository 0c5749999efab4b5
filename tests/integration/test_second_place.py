"""A second place for backups: copied, encrypted, kept by its own rules, carried on by a command."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pyrage
import pytest
from books import NEW_YEAR, deposit
from command import run
from parts import wait_until

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.copies import backups, manifest
from persistence.copies.command import run_for
from persistence.copies.proving import is_encrypted
from persistence.copies.second_place import SecondPlace, carry, decrypt
from persistence.domain.errors import WrongDatabase
from scheduler.jobs import back_up

pytestmark = pytest.mark.on_disk

DAY = 86_400_000_000
CANARY = "a name that nobody else may read"


@pytest.fixture
def made(database, ledger, tmp_path):
    ledger.post([deposit(1, description=CANARY)])
    return backups.create(database, tmp_path / "backups", NEW_YEAR, compress=False)


@pytest.fixture
def key(tmp_path):
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key.txt").write_text(f"# created by age-keygen\n{identity}\n")
    return identity, tmp_path / "key.txt"


def test_a_copy_in_another_folder_is_a_backup_of_its_own(made, tmp_path):
    copied = carry(made, SecondPlace(tmp_path / "usb"), NEW_YEAR)
    [found] = backups.present(tmp_path / "usb")
    assert found.path == copied
    assert found.proved
    backups.verify(found)
    assert copied.stat().st_mode & 0o777 == 0o600


def test_an_encrypted_copy_shows_nothing_and_comes_back_with_the_key(made, key, tmp_path):
    identity, keyfile = key
    copied = carry(made, SecondPlace(tmp_path / "usb", str(identity.to_public())), NEW_YEAR)
    assert CANARY.encode() in made.path.read_bytes()
    assert not [p for p in (tmp_path / "usb").iterdir() if CANARY.encode() in p.read_bytes()]
    [found] = backups.present(tmp_path / "usb")
    backups.verify(found)

    (tmp_path / "back").mkdir()
    back = decrypt(copied, keyfile, tmp_path / "back")
    assert back.path.read_bytes() == made.path.read_bytes()
    backups.verify(back)


def test_an_encrypted_copy_is_known_by_its_content_too(made, key, tmp_path):
    identity, keyfile = key
    copied = carry(made, SecondPlace(tmp_path / "usb", str(identity.to_public())), NEW_YEAR)
    renamed = copied.rename(tmp_path / "usb" / "download (1)")
    assert is_encrypted(renamed)
    backups.verify(backups.identified(renamed))
    (tmp_path / "back").mkdir()
    back = decrypt(renamed, keyfile, tmp_path / "back")
    assert (back.proved, back.path.read_bytes()) == (True, made.path.read_bytes())
    backups.verify(back)


def test_another_key_a_flipped_bit_or_no_key_is_told(made, key, tmp_path):
    identity, keyfile = key
    copied = carry(made, SecondPlace(tmp_path / "usb", str(identity.to_public())), NEW_YEAR)
    (tmp_path / "other.txt").write_text(str(pyrage.x25519.Identity.generate()))
    (tmp_path / "none.txt").write_text("nothing")
    for wrong, error in (("other.txt", WrongDatabase), ("none.txt", Invalid), ("missing.txt", Invalid)):
        with pytest.raises(error):
            decrypt(copied, tmp_path / wrong, tmp_path)
    content, chance = copied.read_bytes(), random.Random(4)
    [found] = backups.present(tmp_path / "usb")
    for _ in range(200):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        copied.write_bytes(damaged)
        with pytest.raises(WrongDatabase):
            backups.verify(found)
    with pytest.raises(WrongDatabase):
        decrypt(copied, keyfile, tmp_path)
    copied.write_bytes(content)
    for damage in ("{", "{}", None):
        manifest.manifest_path(copied).write_text(damage) if damage else manifest.manifest_path(copied).unlink()
        with pytest.raises(WrongDatabase, match="no readable manifest"):
            decrypt(copied, keyfile, tmp_path)
        (tmp_path / made.path.name).unlink()
        assert decrypt(copied, keyfile, tmp_path, unproved=True).manifest is None
        (tmp_path / made.path.name).unlink()
    with pytest.raises(Invalid, match="no age public key"):
        SecondPlace(tmp_path, "age1nonsense")


def test_the_second_place_has_its_own_retention(database, ledger, tmp_path):
    ledger.post([deposit(1)])
    for n in range(12):
        job = back_up(tmp_path / "a", 30, elsewhere=SecondPlace(tmp_path / "b", retention_days=1), clock=lambda n=n: NEW_YEAR + n * DAY)
        told = job(database, 0)
    assert len(backups.present(tmp_path / "a")) == 12
    assert len(backups.present(tmp_path / "b")) == 7, "never fewer than seven proved ones"
    assert told["chain"].startswith("1:"), "the head of the chain is in what the job tells"


def test_a_command_carries_it_on_and_its_failure_is_the_job_s(made, tmp_path):
    carry(made, SecondPlace(command=f"cp {{file}} {tmp_path}/carried"), NEW_YEAR)
    assert (tmp_path / "carried").read_bytes() == made.path.read_bytes()
    with pytest.raises(Unavailable, match="ended with 1"):
        carry(made, SecondPlace(command="false {file}"), NEW_YEAR)
    with pytest.raises(Unavailable, match="could not be run"):
        carry(made, SecondPlace(command="/no/such/program {file}"), NEW_YEAR)
    assert Path(made.path).exists()


def test_the_place_of_the_copy_is_filled_in_wherever_it_stands_in_a_word(made, tmp_path):
    carry(made, SecondPlace(command=f"sh -c 'cp {{file}} {tmp_path}/by-shell'"), NEW_YEAR)
    carry(made, SecondPlace(command=f"cp --target-directory={tmp_path} -- {{file}}"), NEW_YEAR)
    carry(made, SecondPlace(command=f"dd status=none if={{file}} of={tmp_path}/by-dd"), NEW_YEAR)
    for name in ("by-shell", "by-dd", made.path.name):
        assert (tmp_path / name).read_bytes() == made.path.read_bytes(), name


def test_what_a_command_leaves_running_is_not_waited_for(made, tmp_path):
    begun = time.monotonic()
    carry(made, SecondPlace(command=f"sh -c 'sleep 30 & echo $! > {tmp_path}/pid; exit 0 # {{file}}'"), NEW_YEAR)
    assert time.monotonic() - begun < 20
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(made, tmp_path):
    with pytest.raises(Unavailable, match="took longer than 0 seconds and was ended.*read when the scheduler starts again"):
        run_for(f"sh -c 'sleep 60 & echo $! > {tmp_path}/started; mv {tmp_path}/started {tmp_path}/pid; wait # {{file}}'", made.path, 0.4)
    grandchild = int((tmp_path / "pid").read_text())
    wait_until(lambda: not alive(grandchild), "the grandchild is gone")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_names_no_copy_is_a_wrong_setting(tmp_path, monkeypatch):
    with pytest.raises(Invalid, match=r"does not say \{file\}"):
        SecondPlace(command="aws s3 sync data/backups s3://bucket")
    with pytest.raises(Invalid, match="cannot be read: No closing quotation"):
        SecondPlace(command="sh -c 'cp {file}")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "database.yaml").write_text("database: {backup: {second: {command: 'rsync data host:'}}}")
    done = run("config", "show", folder=tmp_path)
    assert done.returncode == 2
    assert "database.backup.second.command: 'rsync data host:' does not say {file}" in done.stderr
