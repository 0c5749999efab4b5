"""What a command has no use for it does not load: a listing starts in two thirds of the time, a worker holds no scheduler in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Of no broker, and without jobs of its own.
OF_THE_BOOKS = (
    "accounts chain config database disposals export gaps lots notes orders performance positions quarantine rates restore statement transactions verify"
)


@pytest.mark.parametrize(
    ("commands", "unused"),
    [(OF_THE_BOOKS, "redis dramatiq apscheduler jinja2"), ("worker", "apscheduler scheduler.jobs jarvis.status"), ("scheduler", "dramatiq workers.app")],
    ids=["commands of the books", "worker", "scheduler"],
)
def test_a_command_loads_nothing_that_it_has_no_use_for(commands, unused):
    program = f"import sys, importlib; [importlib.import_module('jarvis.cli.' + name) for name in {commands!r}.split()]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert "jarvis.cli.context" in loaded
    assert {*unused.split()}.isdisjoint(loaded)
