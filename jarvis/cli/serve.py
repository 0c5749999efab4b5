"""`jarvis serve`: reading back over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.serving import Listen, start
from jarvis.settings_monitoring import WebSettings
from jarvis.web.token import make
from jarvis_client.contract.errors import Invalid


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    listen: Listen = None,
    make_token: Annotated[bool, typer.Option("--make-token", help="Write a new token into web.token_file, mode 600, and end.")] = False,
) -> None:
    """Answer over HTTP what the books hold: accounts, orders, performance, status … as JSON. It reads, and never writes.

    Ctrl-C or SIGTERM ends it. Everything it answers is described at /api/v1/openapi.json. Beyond loopback a token is needed.
    `jarvis web` is the same server with pages for a browser.
    """
    if make_token:
        _make_token(CONTEXT.settings.web)
        return
    start(listen, pages=False)


def _make_token(web: WebSettings) -> None:
    if web.token_file is None:
        raise Invalid("no file is named for the token; name one in web.token_file (monitoring.yaml), such as /etc/jarvis/web-token")
    make(web.token_file)
    say(f"wrote {web.token_file}; requests bring it as `Authorization: Bearer …` from the next start of `jarvis serve` on")
