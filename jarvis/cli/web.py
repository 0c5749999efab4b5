"""`jarvis web`: the pages."""

from __future__ import annotations

import typer

from jarvis.cli.serving import Listen, start


def register(app: typer.Typer) -> None:
    app.command()(web)


def web(listen: Listen = None) -> None:
    """Show the books and the daemon in a browser: status, quarantine, jobs, accounts with their pictures. It reads, and never writes.

    It is the server of `jarvis serve` with pages, at web.listen; Ctrl-C or SIGTERM ends it. Beyond loopback it takes the token of
    `jarvis serve --make-token`, which a browser asks for as a password; the name may be any.
    """
    start(listen, pages=True)
