"""docs/deploying.md says what `jarvis deploy` does: its lines are taken, and they are those that the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import command
import pytest

from jarvis.recipes.redis import RedisChoices, redis_recipe
from jarvis.recipes.systemd import SystemdChoices, systemd_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("jarvis deploy")]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_line_is_one_that_the_command_takes(tmp_path, line):
    (tmp_path / "jarvis_trading-1-py3-none-any.whl").touch()
    words = shlex.split(line.replace("--to /", "--to tree").replace("jarvis_trading-*.whl", "jarvis_trading-1-py3-none-any.whl"))
    done = command.run(*words[1:], "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "new" in done.stdout


@pytest.mark.parametrize(
    ("heading", "choices"),
    [
        ("On systemd", SystemdChoices(prefix="/opt/jarvis")),
        ("The Redis", RedisChoices()),
        ("An engine of another user", SystemdChoices(engine_group="trading")),
        ("A second place", SystemdChoices(second_path="/mnt/other/jarvis")),
    ],
)
def test_the_steps_of_the_page_are_those_that_remain(heading, choices):
    """In other words: nothing that the command asks for is left out of the page."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    recipe = systemd_recipe(Path("/"), choices) if isinstance(choices, SystemdChoices) else redis_recipe(Path("/nowhere"), choices)
    asked = [line for step in recipe.steps for line in step.commands if not line.startswith(("python", "tar -C"))]
    general = {
        "/opt/jarvis/bin/pip install jarvis_trading-*.whl",
        "systemctl daemon-reload",
        "jarvis-ctl doctor",
        "jarvis-ctl verify",
        "systemd-sysusers jarvis.conf",
    }
    for line in asked:
        if heading == "On systemd" or (line not in general and "enable --now jarvis" not in line):
            assert line in section, f"the command says `{line}`, the page does not"


def test_every_option_is_on_the_page(tmp_path):
    for recipe in ("systemd", "redis", "compose"):
        shown = command.run("deploy", recipe, "--help", folder=tmp_path, COLUMNS="200").stdout
        for option in {*re.findall(r"(--[a-z][a-z-]+)", shown)} - {"--help"}:
            assert re.search(rf"{option}\b", PAGE), f"{option} of `jarvis deploy {recipe}` is not on the page"
