"""What `jarvis deploy` writes, for tests that use it."""

from __future__ import annotations

from pathlib import Path

from jarvis.recipes.plan import Recipe, plan, write
from jarvis.recipes.redis import RedisChoices, redis_recipe
from jarvis.recipes.systemd import SystemdChoices, systemd_recipe


def laid(recipe: Recipe, folder: Path) -> Path:
    """A folder with the files of a recipe, as they lie below / on a machine."""
    folder.mkdir(exist_ok=True)
    write(plan(recipe, folder))
    return folder


def units(folder: Path, **choices: object) -> Path:
    return laid(systemd_recipe(folder, SystemdChoices(**choices)), folder)


def a_redis(folder: Path, **choices: object) -> Path:
    return laid(redis_recipe(folder, RedisChoices(**choices)), folder)


def url_in(folder: Path, file: str) -> str:
    return (folder / "etc" / "jarvis" / file).read_text().strip()
