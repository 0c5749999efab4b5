"""Pages put together: templates, the files that pages ask for, and the policy that keeps a page in."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, FileSystemLoader
from markupsafe import Markup

from jarvis import __version__
from jarvis.cli.times import moment_of, times_are
from jarvis.report.page import FOLDER as REPORT
from jarvis.report.page import dressed
from jarvis.web.pages import words
from jarvis.web.problems import Problem
from jarvis_client.contract import instants
from jarvis_client.contract.instants import is_ahead
from persistence.domain.showing import lasting, size

_WEB = Path(__file__).parent.parent
STATIC = "/static"
#: Scripts, styles and pictures of this server alone, nothing inline; a script may turn no text into HTML; nobody frames a page or is posted to.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
#: A browser keeps a file of ours for a day, under an address that names its content.
KEPT = {"Cache-Control": "private, max-age=86400, immutable"}


class Asset(NamedTuple):
    """A file that pages ask for."""

    content: bytes
    media_type: str
    digest: str


_ASSETS = {
    "report.css": (REPORT / "report.css", "text/css"),
    "pages.css": (_WEB / "static" / "pages.css", "text/css"),
    "pages.js": (_WEB / "static" / "pages.js", "text/javascript"),
    "charts.js": (_WEB / "static" / "charts.js", "text/javascript"),
    "uPlot.iife.min.js": (_WEB / "static" / "uplot" / "uPlot.iife.min.js", "text/javascript"),
    "uPlot.min.css": (_WEB / "static" / "uplot" / "uPlot.min.css", "text/css"),
    "icon.svg": (_WEB / "static" / "icon.svg", "image/svg+xml"),
}


class Dressing:
    """Everything that is loaded once for all pages. `paths`: (path, title) of the pages that every page leads to."""

    def __init__(self, paths: Iterable[tuple[str, str]]) -> None:
        self.assets = {name: _asset(*where) for name, where in _ASSETS.items()}
        # Ours come first: the frame of a report's sections is that of a page here.
        self._environment = dressed(ChoiceLoader([FileSystemLoader(_WEB / "templates"), FileSystemLoader(REPORT)]))
        self._environment.globals.update(
            asset=self._address, paths=[*paths], times_are=times_are, version=__version__, url=_url, is_ahead=is_ahead, size=size, lasting=lasting
        )
        self._environment.filters.update({"moment": words.moment, "since": words.since, "coded": words.coded, "plain": words.plain})

    def page(self, template: str, path: str, told: dict[str, Any], **besides: Any) -> bytes:
        """A page, whole. `path` is its own, which its links and forms lead back to."""
        now = instants.now()
        return self._environment.get_template(template).render({**told, **besides, "path": path, "now": now, "taken": moment_of(now)}).encode()

    def problem(self, problem: Problem) -> bytes:
        """What is shown instead of a page."""
        return self.page("problem.html", "", {"problem": problem}, refresh=0)

    def _address(self, name: str) -> str:
        return f"{STATIC}/{name}?{self.assets[name].digest}"


def _asset(path: Path, media_type: str) -> Asset:
    content = path.read_bytes()
    return Asset(content, media_type, sha256(content).hexdigest()[:12])


def _url(path: str, **asked: Any) -> Markup:
    """A link to a page; what is None is not asked."""
    query = urlencode({name.rstrip("_"): value for name, value in asked.items() if value not in (None, "")})
    return Markup("{}").format(f"{path}?{query}" if query else path)


__all__ = ["HEADERS", "KEPT", "STATIC", "Dressing"]
