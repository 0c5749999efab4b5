"""Who is answered at all, before anything is looked at: only GET and HEAD, only under a name of this server, only with its token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jarvis.web.problems import Problem, problem

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

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self._app = app
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
            await refused.response()(scope, receive, send_guarded)
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
        if self._token is not None and not hmac.compare_digest(self._token, _digest(_bearer(headers))):
            raise problem(
                401, "the token must come along", "send `Authorization: Bearer` with the content of web.token_file", headers={"WWW-Authenticate": "Bearer"}
            )


def name_of(host: str) -> str:
    """The name in a Host header: without port, brackets, and the dot that ends a full name."""
    text = host.strip().lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.rpartition(":")[0] if text.count(":") == 1 else text
    return name.removesuffix(".")


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
