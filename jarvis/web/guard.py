"""Who is answered at all, before anything is looked at: only GET and HEAD, only under a name of this server, only with its token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jarvis.web.problems import Problem, problem

#: Below it programs ask, which bring their token by themselves.
API = "/api/"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: With every answer: nobody keeps it, frames it, takes it for something else, or reads it from a page of another origin.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_loopback(host: str) -> bool:
    """Whether an address that is listened on can be reached from this machine alone."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class Guard:
    """Stands before the application. `hosts`: names of this server besides those of loopback and the address that a connection came to."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] = (),
        token: str | None = None,
        tell: Callable[[Problem, str], Response] = lambda problem, _path: problem.response(),
        browsers: bool = False,
    ) -> None:
        """`tell`: the answer that tells of a problem at a path; `browsers`: the token may also come as the password that a browser asks for."""
        self._app = app
        self._tell = tell
        self._browsers = browsers
        self._hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        # Digests of one length, so that comparing them tells nothing of the token.
        self._token = None if token is None else _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._look_at(scope)
        except Problem as refused:
            await self._tell(refused, scope["path"])(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _look_at(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = name_of(headers.get("host", ""))
        server = (scope.get("server") or ("",))[0]
        if host not in self._hosts and host != str(server).lower():
            remedy = "use the server's address, or list the name in web.hosts"
            raise problem(421, "the Host must be a name of this server", remedy, value=headers.get("host"))
        if scope["method"] not in ("GET", "HEAD"):
            raise problem(405, "books are read here, and never written to", "use GET", value=scope["method"], headers={"Allow": "GET, HEAD"})
        if self._browsers and headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            raise problem(403, "a page of another place may lead here, and ask nothing", "follow a link, or ask from this server's own pages")
        if self._token is not None and not hmac.compare_digest(self._token, _digest(self._brought(headers))):
            schemes = 'Basic realm="jarvis", charset="UTF-8"' if self._browsers and not scope["path"].startswith(API) else "Bearer"
            remedy = "send `Authorization: Bearer` with the content of web.token_file"
            if self._browsers:
                remedy += "; in a browser, it is the password, and the name may be any"
            raise problem(401, "the token must come along", remedy, headers={"WWW-Authenticate": schemes})

    def _brought(self, headers: Headers) -> str:
        """The token of a request, empty where it has none."""
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return sent.strip()
        if scheme.lower() != "basic" or not self._browsers:
            return ""
        try:
            return base64.b64decode(sent.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""


def name_of(host: str) -> str:
    """The name in a Host header: without port, brackets, and the dot that ends a full name."""
    text = host.strip().lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.rpartition(":")[0] if text.count(":") == 1 else text
    return name.removesuffix(".")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
