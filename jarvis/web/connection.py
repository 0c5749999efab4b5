"""A connection that ends: uvicorn bounds neither how long a client may be silent, nor how slowly it may read, nor how many there are."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from jarvis.web.guard import HEADERS
from jarvis.web.problems import problem

#: For which one connection serves requests, whatever its client does; who goes on asking opens the next.
CONNECTION_SECONDS = 60.0
#: After which it is cut off, where its client still reads.
ENDING_SECONDS = 15.0
#: Of a request that has begun to arrive, or has not begun at all.
SILENCE_SECONDS = 10.0
#: Of one that asks nothing more.
KEEP_ALIVE_SECONDS = 5
#: At a time; the oldest gives way to a new one.
MOST_CONNECTIONS = 128
#: Of the line of a request with its headers.
LONGEST_REQUEST_BYTES = 16 << 10


class BoundedConnection(H11Protocol):
    """uvicorn's protocol with an end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._ends = self.loop.call_later(CONNECTION_SECONDS, self._end)
        self._silence = self.loop.call_later(SILENCE_SECONDS, self._end_if_silent)
        self._since = self.loop.time()
        others = [c for c in self.connections if isinstance(c, BoundedConnection)]
        if len(others) > MOST_CONNECTIONS:
            min(others, key=lambda c: c._since).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.cancel()
        self._silence.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """A problem, like every other answer."""
        answer = problem(400, "this is no HTTP request of at most 16 KiB", "ask with a client of HTTP").response()
        headers = [*answer.raw_headers, *((name.encode(), value.encode()) for name, value in HEADERS.items()), (b"connection", b"close")]
        events: tuple[Any, ...] = (h11.Response(status_code=400, headers=headers), h11.Data(data=bytes(answer.body)), h11.EndOfMessage())
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _end(self) -> None:
        """Between two requests, what is answered is sent whole; who takes longer than that to read it is cut off."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        self._ends = self.loop.call_later(ENDING_SECONDS, self.transport.abort)

    def _end_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()
