"""The disk fails at every call, the power goes at every write: a short form of what `make soak` does in full."""

from __future__ import annotations

import shutil
import sys

import pytest

from faults.machine import run

pytestmark = [
    pytest.mark.on_disk,
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="the shim is for Linux, and gcc makes it"),
]


@pytest.mark.parametrize(("case", "every"), [("ingestion", 20), ("backup", 16), ("migration", 50), ("restore", 9)])
def test_whichever_call_fails_nothing_acknowledged_is_lost_nothing_doubled_and_nothing_half_done(case, every):
    figures = run(case, every=every, seed=7)
    assert figures["faults"] > 20
    assert figures["wrong"] == 0


@pytest.mark.parametrize(("case", "every"), [("power-ingestion", 9), ("power-backup", 9), ("power-migration", 32), ("power-restore", 7)])
def test_whenever_the_power_goes_the_same_holds(case, every):
    figures = run(case, every=every, seed=7)
    assert figures["images"] >= 20
    assert figures["wrong"] == 0


@pytest.mark.parametrize(
    ("bug", "case", "every"),
    [
        ("acknowledge_before_commit", "ingestion", 7),
        ("synchronous_normal", "power-ingestion", 9),
        ("no_identity_key", "ingestion", 40),
        ("swallowed_io_error", "ingestion", 20),
        ("failed_commit_is_success", "ingestion", 20),
        ("rename_without_fsync", "power-backup", 3),
    ],
)
def test_the_harness_tells_a_planted_mistake(bug, case, every):
    assert run(case, every=every, seed=7, bug=bug)["wrong"] > 0
