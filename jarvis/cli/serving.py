"""What `jarvis serve` and `jarvis web` share: the options, and the start of the one server."""

from __future__ import annotations

import sys
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
from jarvis_client.contract.errors import Unavailable

#: What the extra brings.
EXTRA = ("starlette", "uvicorn", "h11", "anyio")

Listen = Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Listen there instead of on web.listen.")]


def start(listen: str | None, *, pages: bool) -> None:
    """Serve until told to stop. Raises `Unavailable` where the extra is missing."""
    settings = CONTEXT.settings
    if listen is not None:
        settings = settings.model_copy(update={"web": _listening_on(settings.web, listen)})
    heed_no_reader()
    raise_file_limit()
    try:
        server = import_module("jarvis.web.server")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA:
            raise
        command = "jarvis web" if pages else "jarvis serve"
        raise Unavailable(f"`{command}` needs {error.name}, which is not installed; pip install 'jarvis-trading[web]'") from None
    server.run(settings, pages=pages, listening=_say_where if pages and sys.stderr.isatty() else lambda _url: None)
    leave()


def _say_where(url: str) -> None:
    """To who sits at the terminal; elsewhere the log says it."""
    say(f"open {url} in a browser; Ctrl-C ends it")


def _listening_on(web: WebSettings, listen: str) -> WebSettings:
    try:
        return WebSettings(**{**web.model_dump(), "listen": listen})
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(f"{listen!r:.60} {said}", param_hint="--listen") from None
