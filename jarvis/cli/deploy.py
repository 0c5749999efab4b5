"""`jarvis deploy`: the files of a deployment, made to fit, and the steps that remain."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from jarvis.cli.common import say
from jarvis.recipes.compose import compose_recipe
from jarvis.recipes.plan import Fate, Planned, Recipe, left_over, plan, write
from jarvis.recipes.redis import RedisChoices, redis_recipe
from jarvis.recipes.systemd import SystemdChoices, systemd_recipe

To = Annotated[Path, typer.Option("--to", metavar="DIR", help="Write below this folder; / puts every file in its place.")]
ToFolder = Annotated[Path, typer.Option("--to", metavar="DIR", help="Write into this folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; list the files, and show how those that are there differ.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that differ. Settings and passwords are kept all the same.")]
Server = Annotated[Literal["redis", "valkey"], typer.Option("--server", help="What the package of the server is called.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Write the files that a deployment needs, made to fit, and say which steps remain.", no_args_is_help=True)
    for command in (systemd, redis, compose):
        group.command()(command)
    app.add_typer(group, name="deploy")


def systemd(
    to: To,
    user: Annotated[str, typer.Option(help="Whom the services run as.")] = "jarvis",
    prefix: Annotated[str, typer.Option(metavar="DIR", help="The venv that has bin/jarvis.")] = "/opt/jarvis",
    state: Annotated[str, typer.Option(metavar="DIR", help="Where the books and their backups lie.")] = "/var/lib/jarvis",
    broker: Annotated[Literal["embedded", "unix", "tcp", "tls"], typer.Option(help="The embedded broker, or how a Redis is reached.")] = "embedded",
    server: Server = "redis",
    allow: Annotated[list[str] | None, typer.Option("--allow", metavar="ADDRESS", help="An address of a Redis elsewhere, or of a resolver.")] = None,
    second_path: Annotated[str | None, typer.Option("--second-path", metavar="DIR", help="Another disk, to which backups are copied.")] = None,
    network: Annotated[bool, typer.Option("--network", help="Let the scheduler out, for the second place's command and for alerts.")] = False,
    engine_group: Annotated[str | None, typer.Option("--engine-group", metavar="GROUP", help="Let this group publish to the embedded broker.")] = None,
    metrics_http: Annotated[bool, typer.Option("--metrics-http", help="Let this machine ask for /metrics and /healthz.")] = False,
    metrics_textfile: Annotated[str | None, typer.Option("--metrics-textfile", metavar="DIR", help="Leave metrics in node_exporter's folder.")] = None,
    web: Annotated[bool, typer.Option("--web", help="The pages of `jarvis web` as well, for this machine.")] = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Hardened units for systemd, with the drop-ins that this machine needs.

    With the example settings, the user, jarvis-ctl (which runs any command as the services do), scripts, alert rules, dashboards and the guide.
    """
    choices = SystemdChoices(
        user, prefix, state, broker, server, tuple(allow or ()), second_path, network, engine_group, metrics_http, metrics_textfile, web
    )  # fmt: skip
    folder = to.absolute()
    _carry_out(systemd_recipe(folder, choices), folder, dry_run=dry_run, force=force)


def redis(
    to: To,
    broker: Annotated[Literal["unix", "tcp", "tls"], typer.Option(help="How worker and engines reach it.")] = "tcp",
    server: Server = "redis",
    host: Annotated[str | None, typer.Option(help="With tls: the name in the certificate of the Redis.")] = None,
    namespace: Annotated[str, typer.Option(help="What broker.namespace says.")] = "dramatiq",
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """A Redis or Valkey for jarvis alone: its settings, its users with the least rights, and a file with the URL of each.

    Passwords are made here; those that exist are kept. The files work with Redis 6.2, 7 and 8, and with Valkey.
    """
    folder = to.absolute()
    _carry_out(redis_recipe(folder, RedisChoices(broker, server, host, namespace)), folder, dry_run=dry_run, force=force)


def compose(
    to: ToFolder,
    wheel: Annotated[Path | None, typer.Option(metavar="FILE", help="The wheel that the image installs; it is copied beside the Dockerfile.")] = None,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """A container of the daemon with a Valkey and, as a profile, Prometheus and Grafana, for `docker compose`."""
    folder = to.absolute()
    _carry_out(compose_recipe(folder, wheel), folder, dry_run=dry_run, force=force)


def _carry_out(recipe: Recipe, folder: Path, *, dry_run: bool, force: bool) -> None:
    planned = plan(recipe, folder)
    if dry_run:
        for one in planned:
            _tell(one)
            if one.fate is Fate.DIFFERENT:
                print(textwrap.indent("\n".join(one.difference()), " " * 12))
        _tell_left_over(recipe, folder)
        say("nothing was written")
        return
    write(planned, force=force)
    for one in planned:
        if one.fate is not Fate.UNCHANGED:
            _tell(one)
    counts = Counter(one.fate for one in planned)
    print(f"{counts[Fate.NEW] + counts[Fate.DIFFERENT]} written, {counts[Fate.UNCHANGED]} unchanged, {counts[Fate.KEPT]} kept, in {folder}")
    _tell_left_over(recipe, folder)
    _tell_steps(recipe)


def _tell(one: Planned) -> None:
    remark = "  (a secret, for its owner alone)" if one.file.secret else ""
    print(f"{one.fate:<11} {one.target}{remark}")


def _tell_left_over(recipe: Recipe, folder: Path) -> None:
    if left := left_over(recipe, folder):
        print("\nLeft by options that were not given this time, and in effect: give them, or")
        for path, option in left.items():
            print(f"    rm {path}  # {option}")


def _tell_steps(recipe: Recipe) -> None:
    width = Console().width
    print("\nWhat remains:")
    for number, step in enumerate(recipe.steps, 1):
        print(textwrap.fill(step.says, width, initial_indent=f"{number:>2}. ", subsequent_indent=" " * 4, break_on_hyphens=False, break_long_words=False))
        for command in step.commands:
            print(f"        {command}")
