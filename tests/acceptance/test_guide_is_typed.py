"""Whoever copies an example of the guide into an engine that is checked strictly finds nothing to mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_client_as_documented import checked_by_mypy

HOUSE = Path(__file__).parents[2]


def examples() -> list[str]:
    """Each example, with the imports of those above it: the guide does not repeat them."""
    blocks = re.findall(r"```python(?: client)?\n(.*?)```", (HOUSE / "docs" / "publishing.md").read_text(), re.DOTALL)
    ours = [block for block in blocks if "publisher" in block.casefold()]
    imports = [re.findall(r"^(?:from|import) .*$", block, re.MULTILINE) for block in ours]
    return ["\n".join([*(line for above in imports[:n] for line in above), "URL = ''", block]) for n, block in enumerate(ours)]


@pytest.mark.slow
@pytest.mark.parametrize("example", examples())
def test_an_example_of_the_guide_passes_a_strict_type_checker(tmp_path, example):
    assert checked_by_mypy(tmp_path, example) == (0, "Success: no issues found in 1 source file\n")


@pytest.mark.slow
def test_what_the_guide_says_of_dictionaries_is_so(tmp_path):
    program = "from typing import Any\nfrom jarvis_client import Publisher\np = Publisher()\nread: dict[str, Any] = {}\n"
    assert checked_by_mypy(tmp_path, f'{program}p.publish("fill", read)\np.publish_many([("fill", read)])\n')[0] == 0
    typed = 'from jarvis_client.fields import RateFields\nrate: RateFields = {"currency": "BNB", "usd_rate": 1, "observed_at": 1}\n'
    assert checked_by_mypy(tmp_path, f"{program}{typed}p.publish_rate(rate)\n")[0] == 0
    assert "No overload variant" in checked_by_mypy(tmp_path, f"{program}p.publish_fill(read)\n")[1]
