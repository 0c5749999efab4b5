"""How far the tests look that search among many cases: `make test` at a part of them, `make test-all` at all.

A part finds whatever is wrong in many cases; what is wrong in few is looked for where there is time. Such a test is marked `searched`,
so that `make test-all` runs it again, in whole.
"""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

T = TypeVar("T")

WHOLE = os.environ.get("TESTS_SEARCH") == "whole"

searched = pytest.mark.searched


def of(part: T, whole: T) -> T:
    """So many examples, so many seeds, every so many calls: what this run takes."""
    return whole if WHOLE else part
