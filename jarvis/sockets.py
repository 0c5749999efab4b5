"""How the embedded broker's socket is named: for settings, which are checked in every command, also where nothing of a broker is loaded."""

from __future__ import annotations

#: A Unix socket's path has to fit into this many bytes on every platform.
LONGEST_SOCKET_PATH = 100
#: What engines of a group name after the folder.
SOCKET_NAME = "valkey.sock"
