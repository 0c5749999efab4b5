"""`jarvis config`: the settings in force."""

from __future__ import annotations

import typer
import yaml

from jarvis.cli.context import CONTEXT


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The settings.", no_args_is_help=True)
    group.command("show")(config_show)
    group.callback()(lambda: None)
    app.add_typer(group, name="config")


def config_show() -> None:
    """Print the effective settings as YAML, secrets hidden."""
    print(yaml.safe_dump(CONTEXT.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
