"""`jarvis config`: the settings in force, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr

from jarvis.cli.context import CONTEXT
from jarvis.cli.output import print_json
from jarvis.settings_sources import place_of
from jarvis_client.contract.address import without_password

#: Where the places begin, unless a value is longer.
PLACES_AT = 48


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The settings.", no_args_is_help=True)
    group.command("show")(config_show)
    group.callback()(lambda: None)
    app.add_typer(group, name="config")


def config_show(as_json: Annotated[bool, typer.Option("--json", help="As JSON: each value and its source, by its path.")] = False) -> None:
    """Print the effective settings as YAML, secrets hidden, each with where it comes from: a file and line, a variable, a secret's file, or the default."""
    settings = CONTEXT.settings
    shown = [(where, value, (place_of(CONTEXT.places, where) if is_set else None) or "default") for where, value, is_set in _leaves(settings, (), True)]
    if as_json:
        print_json({".".join(where): {"value": value, "from": place} for where, value, place in shown})
        return
    above: tuple[str, ...] = ()
    for where, value, place in shown:
        for depth in range(len(where) - 1):
            if where[: depth + 1] != above[: depth + 1]:
                print(f"{'  ' * depth}{_key(where[depth])}:")
        line = f"{'  ' * (len(where) - 1)}{_key(where[-1])}:" + ("" if value is None else f" {json.dumps(value, ensure_ascii=False)}")
        print(f"{line:<{PLACES_AT}}  # {place}")
        above = where[:-1]


def _leaves(value: Any, where: tuple[str, ...], is_set: bool) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    """The path to every value, the value, and whether anything but the default says it, in the order of the settings."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*where, name), name in value.model_fields_set)
    elif isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, (*where, name), is_set)
    elif isinstance(value, SecretStr):
        yield where, _without_secret(where, value), is_set
    elif isinstance(value, tuple):
        yield where, [_without_secret(where, one) if isinstance(one, SecretStr) else one for one in value], is_set
    else:
        plain = value is None or isinstance(value, bool | int | float | dict)
        yield where, value if plain else str(value), is_set


def _without_secret(where: tuple[str, ...], secret: SecretStr) -> str:
    """The broker's URL without its password. Of what a notification URL holds, anything may be the secret."""
    text = secret.get_secret_value()
    return without_password(text) if where[0] == "broker" else f"{text.partition('://')[0]}://***"


def _key(name: str) -> str:
    """JSON is YAML, so a name that YAML would read otherwise is quoted as JSON quotes it."""
    return name if name.isidentifier() and name.isascii() and name.lower() not in _WORDS else json.dumps(name)


_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
