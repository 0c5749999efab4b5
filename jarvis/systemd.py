"""Telling systemd (`Type=notify`, `WatchdogSec=`) how we are. Does nothing where nobody listens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send a state such as `READY=1` or `WATCHDOG=1` to the service manager."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        # A leading @ stands for the abstract namespace.
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())
