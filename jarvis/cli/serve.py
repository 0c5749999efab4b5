"""`jarvis serve`: reading back over HTTP."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer
from pydantic import ValidationError

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.limits import raise_file_limit
from jarvis.processes import leave
from jarvis.settings_monitoring import WebSettings
from jarvis.streams import heed_no_reader
from jarvis.web.token import make
from jarvis_client.contract.errors import Invalid, Unavailable

#: What the extra brings.
EXTRA = ("starlette", "uvicorn", "h11", "anyio")


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    listen: Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Listen there instead of on web.listen.")] = None,
    make_token: Annotated[bool, typer.Option("--make-token", help="Write a new token into web.token_file, mode 600, and end.")] = False,
) -> None:
    """Answer over HTTP what the books hold: accounts, orders, performance, status … as JSON. It reads, and never writes.

    Ctrl-C or SIGTERM ends it. Everything it answers is described at /api/v1/openapi.json. Beyond loopback a token is needed.
    """
    settings = CONTEXT.settings
    if make_token:
        _make_token(settings.web)
        return
    if listen is not None:
        settings = settings.model_copy(update={"web": _listening_on(settings.web, listen)})
    heed_no_reader()
    raise_file_limit()
    try:
        server = import_module("jarvis.web.server")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA:
            raise
        raise Unavailable(f"`jarvis serve` needs {error.name}, which is not installed; pip install 'jarvis-trading[web]'") from None
    server.run(settings)
    leave()


def _make_token(web: WebSettings) -> None:
    if web.token_file is None:
        raise Invalid("no file is named for the token; name one in web.token_file (monitoring.yaml), such as /etc/jarvis/web-token")
    make(web.token_file)
    say(f"wrote {web.token_file}; requests bring it as `Authorization: Bearer …` from the next start of `jarvis serve` on")


def _listening_on(web: WebSettings, listen: str) -> WebSettings:
    try:
        return WebSettings(**{**web.model_dump(), "listen": listen})
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(f"{listen!r:.60} {said}", param_hint="--listen") from None
