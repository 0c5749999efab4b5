"""How help screens look: no type where there is nothing to type, and no colour that only a dark terminal can show."""

from __future__ import annotations

import inspect
from contextlib import suppress
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

#: By the names of Typer's constants. Bold, dim and red are as legible on white as on black; its yellow and cyan are not.
_STYLES = {
    "STYLE_OPTION": "bold", "STYLE_SWITCH": "bold", "STYLE_NEGATIVE_OPTION": "bold", "STYLE_NEGATIVE_SWITCH": "bold", "STYLE_TYPES": "dim",
    "STYLE_METAVAR": "dim", "STYLE_USAGE": "bold", "STYLE_HELPTEXT": "", "STYLE_OPTION_ENVVAR": "dim", "STYLE_REQUIRED_LONG": "dim",
    "STYLE_COMMANDS_TABLE_FIRST_COLUMN": "bold", "RICH_HELP": "Try [bold]'{command_path} {help_option}'[/] for help.",
}  # fmt: skip


def use_our_styles() -> None:
    """Before Typer draws a screen. What draws it takes a tenth of a second to load, so nobody else waits for it."""
    drawing = import_module("typer.rich_utils")
    for name, style in _STYLES.items():
        setattr(drawing, name, style)


#: What stands for a type of Typer's.
_WORDS = {"<str>": "TEXT", "<int>": "NUMBER", "<int range>": "NUMBER", "<float>": "NUMBER", "<float range>": "NUMBER", "<path>": "PATH"}


def _worded(params: list[Any], ctx: Any) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.metavar is None:
            param.metavar = "" if param.is_flag else _WORDS.get(str(param.display_type_rich(ctx)).lower())
    return params


def _flowing(text: str | None) -> str | None:
    """Paragraphs without the line breaks of the source, which mean nothing on another width."""
    return None if text is None else "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


#: Rich ends the program with exit code 1 where the reader of a help screen has gone, as of `--help | head`.
_WHOEVER_READS = suppress(SystemExit)


class Command(TyperCommand):
    def __init__(self, *arguments: Any, help: str | None = None, **more: Any) -> None:
        super().__init__(*arguments, help=_flowing(help), **more)

    def get_params(self, ctx: Any) -> list[Any]:
        return _worded(super().get_params(ctx), ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        use_our_styles()
        with _WHOEVER_READS:
            super().format_help(ctx, formatter)


class Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _worded(super().get_params(ctx), ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        use_our_styles()
        with _WHOEVER_READS:
            super().format_help(ctx, formatter)


def dress(app: typer.Typer) -> typer.Typer:
    """The same commands and groups, their help screens as ours look."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            inner = dress(group.typer_instance)
            if not (isinstance(inner.info.cls, type) and issubclass(inner.info.cls, Group)):
                inner.info.cls = Group
    return app
