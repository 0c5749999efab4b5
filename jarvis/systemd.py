"""Telling systemd (`Type=notify`, `WatchdogSec=`) how we are. Does nothing where nobody listens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from jarvis_client.contract.showing import hide_passwords


class StatusLine:
    """The line that `systemctl status` shows, sent when it changes."""

    def __init__(self) -> None:
        self._last = ""

    def tell(self, text: str, *also: str) -> None:
        """`also`: states to send with it, such as `READY=1`."""
        # A line break would begin another state.
        line = " ".join(text.split())
        if also or line != self._last:
            self._last = line
            notify("\n".join([*also, f"STATUS={hide_passwords(line)}"]))


def notify(state: str) -> None:
    """Send a state such as `READY=1` or `WATCHDOG=1` to the service manager."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        # A leading @ stands for the abstract namespace.
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())
