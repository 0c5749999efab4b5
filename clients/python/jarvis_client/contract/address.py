"""A broker's address: the URL that settings and senders name, read once, refused with a sentence where it cannot be used.

No sentence of this module shows a password, and none of a library reaches the reader: theirs quote the piece they stumbled over,
which may be one. Loads no client, so that settings can be read without one.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import hide_passwords

SCHEMES = ("redis://", "rediss://", "unix://")
#: A worker waits on each queue over a connection of its own, and its other threads need a few more.
WORKERS_CONNECTIONS = 32
#: Linux takes 107 bytes of a Unix socket's path.
LONGEST_SOCKET_PATH = 107
#: Options that a worker sets itself: a shorter limit would end the waits for a message that an idle queue consists of.
OURS = ("socket_timeout", "socket_connect_timeout", "retry_on_timeout", "max_connections")

_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE = "write / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, % as %25"


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise Invalid(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII) or float(text) <= 0:
        raise Invalid("seconds above zero")
    return float(text)


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
        raise Invalid("true or false")
    return text.lower() in ("true", "yes", "1")


def _word(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Invalid("ASCII characters without blanks")
    return text


def _tls_version(text: str) -> int:
    if text not in ("771", "772"):
        raise Invalid("771 for TLS 1.2 or 772 for TLS 1.3")
    return int(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise Invalid(" or ".join(words))
        return text

    return read


#: What a URL's query may say. Anything else that the client would take changes its replies or its connections under our hands.
OPTIONS: dict[str, Callable[[str], Any]] = {
    "db": _whole(0, 1_000_000), "protocol": _whole(2, 3), "username": str, "password": str, "client_name": _word,
    "health_check_interval": _whole(0, 86_400), "socket_keepalive": _yes_or_no, "socket_timeout": _seconds, "socket_connect_timeout": _seconds,
    "socket_read_size": _whole(1, 1 << 30), "retry_on_timeout": _yes_or_no, "max_connections": _whole(1, 100_000),
}  # fmt: skip
TLS_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": str, "ssl_ca_path": str, "ssl_certfile": str, "ssl_keyfile": str, "ssl_password": str, "ssl_ciphers": _word,
    "ssl_cert_reqs": _one_of("none", "optional", "required"), "ssl_check_hostname": _yes_or_no, "ssl_min_version": _tls_version,
}  # fmt: skip
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True)
class Address:
    """What a broker's URL says, decoded."""

    scheme: str
    host: str = ""
    port: int = 0
    socket: str = ""
    db: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """Where it leads, without any secret: `redis at localhost:6379/0`, `the socket /run/redis.sock`."""
        if self.socket:
            return f"the socket {self.socket}" + (f", database {self.db}" if self.db else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme} at {host}:{self.port}/{self.db}"

    @property
    def secrets(self) -> list[str]:
        """Every password of it, as decoded and as it may stand in a file."""
        found = [self.password, str(self.options.get("ssl_password", ""))]
        return sorted({text for secret in found if secret for text in (secret, quote(secret, safe=""), quote(secret))})

    def unreadable_file(self) -> str | None:
        """What keeps a file of its TLS options from being read, with the remedy; None where nothing does."""
        for option in _FILES:
            path = self.options.get(option)
            if path is not None and (why := _why_unreadable(Path(path))) is not None:
                return f"{option} names {path}, which {why}"
        folder = self.options.get("ssl_ca_path")
        if folder is not None and not os.path.isdir(folder):
            return f"ssl_ca_path names {folder}, which is no folder; name the folder of the certificates, or their file in ssl_ca_certs"
        return None


def read_address(url: str, *, connections: int = 1) -> Address:
    """What a URL says. Raises `Invalid`, naming what of it cannot be used and what to write instead, never its password.

    `connections`: so many must be allowed where the URL limits them.
    """
    if not url.startswith(SCHEMES):
        raise Invalid(f"must start with {', '.join(SCHEMES[:2])} or {SCHEMES[2]}, such as redis://127.0.0.1:6379/0")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise Invalid("holds a space or a control character; write a space as %20")
    if re.search(r"[\"<>\\]", url):
        raise Invalid('holds one of " < > \\ as it is; write it as %22, %3C, %3E or %5C')
    if _PERCENT.search(url):
        raise Invalid("holds a % that no two hexadecimal digits follow; write % itself as %25")
    if "#" in url:
        raise Invalid("holds a #; in a password or a path write it as %23")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid(f"cannot be read: after the host comes : and a port from 1 to 65535; in a user's name and a password {_ENCODE}") from None
    if "@" in parts.path + parts.query and "@" not in parts.netloc:
        raise Invalid(f"holds an @ behind its host; in a user's name and a password {_ENCODE}")
    options = _options(parts.query, parts.scheme, connections)
    username, password = (unquote(text or "") for text in (parts.username, parts.password))
    username, password = username or options.pop("username", ""), password or options.pop("password", "")
    options = {name: value for name, value in options.items() if name not in ("username", "password")}
    if parts.scheme == "unix":
        return Address("unix", socket=_socket(parts.netloc, parts.path), db=options.pop("db", 0), username=username, password=password, options=options)
    if not re.fullmatch(r"/?|/\d{1,7}/?", parts.path, re.ASCII):
        raise Invalid("names no database by number behind its host; write /0, or unix:// and a whole path for a socket")
    db = int(parts.path.strip("/") or 0)
    if parts.path.strip("/") and options.get("db", db) != db:
        raise Invalid(f"names database {db} and, as an option, database {options['db']}; keep one of them")
    if port == 0:
        raise Invalid("names port 0; a port is from 1 to 65535")
    return Address(parts.scheme, _host(parts.hostname), port or 6379, "", options.pop("db", db), username, password, options)


def without_password(url: str) -> str:
    """A broker URL that may be shown and logged."""
    return hide_passwords(url)


def unix_url(socket: Path) -> str:
    """The URL of a socket, whatever its path holds."""
    return f"unix://{quote(str(socket))}"


def socket_of(url: str) -> Path:
    """The path in a URL that `unix_url` made."""
    return Path(unquote(url.removeprefix("unix://")))


def client_url(url: str) -> str:
    """The URL for the client of a worker: without what a worker sets itself."""
    head, mark, query = url.partition("?")
    kept = [part for part in query.split("&") if unquote(part.partition("=")[0]) not in OURS]
    return head + mark + "&".join(kept) if any(kept) else head


def _options(query: str, scheme: str, connections: int) -> dict[str, Any]:
    known = OPTIONS | TLS_OPTIONS if scheme == "rediss" else OPTIONS
    options: dict[str, Any] = {}
    if "+" in query:
        raise Invalid("holds a + behind its ?, where it stands for a space; write + as %2B and a space as %20")
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in TLS_OPTIONS and name not in known:
            raise Invalid(f"has the option {name}, which is for rediss://; write rediss:// for TLS, or leave it out")
        if name not in known:
            raise Invalid(_unknown(name))
        if name in options:
            raise Invalid(f"has the option {name} twice; keep one of them")
        if not text:
            raise Invalid(f"has the option {name} without a value; give it one, or leave it out")
        try:
            options[name] = known[name](text)
        except Invalid as rule:
            raise Invalid(f"has the option {name}={text:.40}; it must be {rule}") from None
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise Invalid("has the option ssl_keyfile without ssl_certfile; name the certificate that belongs to the key")
    if options.get("max_connections", connections) < connections:
        raise Invalid(f"has max_connections={options['max_connections']}; a worker needs up to {connections}: leave it out")
    return options


def _unknown(name: str) -> str:
    if name in ("decode_responses", "encoding", "encoding_errors", "legacy_responses"):
        return f"has the option {name}, which changes the replies that are read here; leave it out"
    if not re.fullmatch(r"[a-z_]{1,40}", name):
        # It may be the rest of a password with a ? in it.
        return f"has a ?, and what follows is no option; in a user's name and a password {_ENCODE}"
    known = [*OPTIONS, *TLS_OPTIONS]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"has the option {name}, which does not exist" + (f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}")


def _host(name: str | None) -> str:
    host = unquote(name or "localhost")
    try:
        host.encode("idna" if ":" not in host else "ascii")
    except UnicodeError:
        raise Invalid("names a host that cannot be one; write a name such as redis.example.com, or an address") from None
    if re.search(r"[\s\x00-\x1f\x7f]", host):
        raise Invalid("names a host that cannot be one; write a name such as redis.example.com, or an address")
    return host


def _socket(netloc: str, path: str) -> str:
    if netloc.rpartition("@")[2] or not path.strip("/"):
        raise Invalid("names no socket; write unix:// and the whole path, which begins with a third slash, such as unix:///run/redis.sock")
    socket = unquote(path)
    if "\0" in socket:
        raise Invalid("names a socket with a NUL in its path; name another")
    if (length := len(os.fsencode(socket))) > LONGEST_SOCKET_PATH:
        raise Invalid(f"names a socket whose path has {length} bytes; the system takes {LONGEST_SOCKET_PATH}: move it to a shorter one")
    return socket


def _why_unreadable(path: Path) -> str | None:
    try:
        with open(path, "rb"):
            return None
    except FileNotFoundError:
        return "does not exist; put it there, or correct the path"
    except PermissionError:
        return f"this process (user {os.geteuid()}) may not read; chown or chmod it, and look at the folders above it"
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or 'not a path'}); name a file"
