"""The ways out. Each is a process of its own, given its time and then ended: whatever a command or a library does, it holds up nobody."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from typing import Protocol

from jarvis.alerts.message import Message
from jarvis.status.alarms import Severity
from jarvis_client.contract.errors import Unavailable
from persistence.commands import Ended, run_words, words_of

DELIVERY_SECONDS = 30.0
#: Parts of a URL that are at least so long may be its secret.
SECRET_LETTERS = 5


class Channel(Protocol):
    """A way to people. `name` shows nothing secret, and stays the same for as long as the settings do."""

    name: str

    def deliver(self, message: Message) -> None:
        """Raises `Unavailable` where it was not delivered, or not within its time."""


class CommandHook:
    """Runs a command for each message, with the message as JSON on its standard input."""

    def __init__(self, command: str, seconds: float = DELIVERY_SECONDS) -> None:
        self.name = "command"
        self._words = words_of(command)
        self._seconds = seconds

    def deliver(self, message: Message) -> None:
        try:
            ended = run_words(self._words, self._seconds, f"{message.as_json}\n".encode())
        except OSError as error:
            raise Unavailable(f"alerts.command could not be run: {error}; correct it, and start the scheduler again") from error
        _refuse_failure("alerts.command", ended, self._seconds, ended.said)


class NotificationUrl:
    """One URL of Apprise. `number` tells several of one scheme apart."""

    def __init__(self, url: str, number: int = 1, seconds: float = DELIVERY_SECONDS) -> None:
        scheme = url.partition("://")[0]
        self.name = scheme if number == 1 else f"{scheme} {number}"
        self._url = url
        self._seconds = seconds

    @staticmethod
    def is_possible() -> bool:
        """Whether Apprise is installed."""
        return find_spec("apprise") is not None

    def deliver(self, message: Message) -> None:
        # By standard input: what stands on a command line, everybody on the machine can read.
        given = {"url": self._url, "title": message.title, "text": message.text, "type": _type_of(message)}
        try:
            ended = run_words([sys.executable, "-P", "-m", "jarvis.alerts"], self._seconds, json.dumps(given).encode())
        except OSError as error:
            raise Unavailable(f"Apprise could not be run for {self.name}: {error}; see `ulimit -u` and the free memory") from error
        _refuse_failure(f"Apprise, for {self.name},", ended, self._seconds, without_secrets(ended.said, self._url))


def _type_of(message: Message) -> str:
    """What Apprise colours a message by."""
    if message.kind == "over":
        return "success"
    if not message.alarms:
        return "info"
    return "failure" if any(one.alarm.severity is Severity.CRITICAL for one in message.alarms) else "warning"


def without_secrets(text: str, url: str) -> str:
    """What a library says, without what stands in the URL: any part of that may be its secret."""
    for part in sorted(re.split(r"[/:@?&=,;+]+", url.partition("://")[2]), key=len, reverse=True):
        if len(part) >= SECRET_LETTERS:
            text = text.replace(part, "***")
    return text


def _refuse_failure(what: str, ended: Ended, seconds: float, said: str) -> None:
    tail = f": {'; '.join(said.splitlines())}" if said else ""
    if ended.code is None:
        raise Unavailable(f"{what} took longer than {seconds:g} s and was ended{tail}")
    if ended.code:
        raise Unavailable(f"{what} ended with {ended.code}{tail}")
