"""The dead man's switch: a URL that is fetched for as long as somebody watches. When the fetches stay away, its owner is told, by others."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable

import structlog

from jarvis.alerts.channels import without_secrets
from jarvis_client.contract.errors import Unavailable

log = structlog.get_logger("alerts")

PING_SECONDS = 10.0


class Ping:
    """Fetches the URL, one fetch at a time. It hides a URL that is the secret itself."""

    name = "ping"

    def __init__(self, url: str, every_seconds: float, ended: Callable[[], None] = lambda: None, *, timeout: float = PING_SECONDS) -> None:
        self._url = url
        self._every = every_seconds
        self._ended = ended
        self._timeout = timeout
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self._failed = False

    def fetch(self) -> None:
        """Raises `Unavailable` where it does not answer, or with an error."""
        request = urllib.request.Request(self._url, headers={"User-Agent": "jarvis"})
        try:
            with urllib.request.urlopen(request, timeout=self._timeout):
                return
        except urllib.error.HTTPError as error:
            error.close()
            raise Unavailable(f"alerts.ping was answered with {error.code} {error.reason}") from None
        except (OSError, ValueError) as error:
            raise Unavailable(without_secrets(f"alerts.ping does not answer: {getattr(error, 'reason', error)}", self._url)) from None

    def turn(self, watching: bool, steady: float) -> None:
        """Fetch where it is time and somebody is `watching`."""
        if watching and steady >= self._next and (self._thread is None or not self._thread.is_alive()):
            self._next = steady + self._every
            self._thread = threading.Thread(target=self._fetch_and_tell, name="alerts-ping", daemon=True)
            self._thread.start()

    def _fetch_and_tell(self) -> None:
        problem: str | None = None
        try:
            self.fetch()
        except Unavailable as error:
            problem = str(error)
        except Exception as error:
            problem = f"{type(error).__name__}"
        if problem is not None and not self._failed:
            log.warning("the dead man's switch was not reached", error=problem, again_in_seconds=self._every)
        elif problem is None and self._failed:
            log.info("the dead man's switch is reached again")
        self._failed = problem is not None
        self._ended()
