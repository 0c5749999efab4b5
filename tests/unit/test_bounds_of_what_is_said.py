"""What clients send has no end: sentences and ids have one."""

from __future__ import annotations

import logging

import pytest

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.jobs import job_of
from persistence.domain.errors import WrongDatabase
from persistence.domain.money import Balance, Money
from persistence.engine.sqlite import host


@pytest.mark.parametrize("name", ["m" * 129, "m" * 900_000, "two\nlines", "\x1b[31m", "\ud800", "", " m"])
def test_a_request_under_an_id_that_could_not_be_listed_is_refused(name):
    with pytest.raises(MalformedRecord, match="and there is no request_id; give a request_id of 1 to 128 printable characters") as refused:
        job_of({"job": "backup"}, name)
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()
    assert job_of({"job": "backup", "request_id": "r1"}, name).request_id == "r1"


def test_ids_as_dramatiq_makes_them_are_taken():
    assert job_of({"job": "backup"}, "0b3c1f9e-9a53-4a1e-8f5b-1d2c3b4a5968:7").request_id.endswith(":7")


def test_a_balance_of_very_many_currencies_is_shown_by_its_first():
    balance = Balance()
    for n in range(100):
        balance.add_available(Money("1", f"C{n:03}"))
    assert str(balance).endswith("and 80 more")


def mounts(kind: str, folder: object) -> str:
    return f"20 1 8:1 / / rw - ext4 /dev/sda rw\n30 20 0:50 / {folder} rw - {kind} share rw"


@pytest.mark.parametrize(
    "kind", ["virtiofs", "vboxsf", "9p", "drvfs", "fuse.grpcfuse", "fakeowner", "fuse.vmhgfs-fuse", "fuse.juicefs", "fuse.mountpoint-s3", "smb2"]
)
def test_a_share_of_another_machine_is_refused_whatever_it_is_called(tmp_path, kind):
    with pytest.raises(WrongDatabase, match=f"lies on {kind}, a network file system or a share of another machine"):
        host.refuse_network_file_system(tmp_path, mounts(kind, tmp_path))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "apfs", "fuse.fuse-overlayfs", "fuse.gocryptfs"])
def test_a_disk_of_this_machine_is_taken_without_a_word(tmp_path, caplog, kind):
    host.refuse_network_file_system(tmp_path, mounts(kind, tmp_path))
    assert caplog.records == []


def test_a_program_behind_fuse_that_nobody_knows_is_warned_of_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            host.refuse_network_file_system(tmp_path, mounts("fuse.somethingfs", tmp_path))
    [line] = caplog.records
    assert "lies on fuse.somethingfs" in line.getMessage()
    assert "name a folder on a local disk" in line.getMessage()
