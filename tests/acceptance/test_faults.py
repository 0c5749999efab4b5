"""The short form of the soak: each fault a few times against a real worker and a real broker; `make soak` has the long one."""

from __future__ import annotations

import pytest
from searching import of, searched
from soak.harness import FAULTS, run

pytestmark = pytest.mark.on_disk


@searched
@pytest.mark.parametrize("fault", [pytest.param(name, marks=pytest.mark.slow) if fault.slow else name for name, fault in FAULTS.items()])
def test_under_this_fault_nothing_is_lost_and_nothing_doubled(fault):
    result = run(fault, seed=7, records=of(1_000, 2_000))
    assert (result.lost, result.doubled, result.problems) == (0, 0, [])
    assert result.injected >= 1


@pytest.mark.slow
def test_the_harness_reports_losses_of_a_worker_that_acknowledges_before_it_commits():
    lost = 0
    for seed in range(3):
        lost += run("SIGKILL of the worker", seed=seed, records=1_500, times=4, module="soak.broken_worker", patience=8.0).lost
        if lost:
            break
    assert lost > 0
