"""A broker's address: the URL that settings and senders name, read once, refused with a sentence where it cannot be used.

No sentence of this module shows a password, and none of a library reaches the reader: theirs quote the piece they stumbled over,
which may be one. Loads no client, so that settings can be read without one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from jarvis_client.contract.address_options import ENCODE, OURS, read_options
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import hide_passwords

SCHEMES = ("redis://", "rediss://", "unix://")
#: Of several servers: one of them takes writes, and who that is sentinels or the nodes of a cluster tell.
MANY = ("redis+sentinel://", "rediss+sentinel://", "redis+cluster://", "rediss+cluster://")
_PORTS = {"sentinel": 26379, "cluster": 6379}
#: A worker waits on each queue over a connection of its own, and its other threads need a few more.
WORKERS_CONNECTIONS = 32
#: Replicas that a publisher may wait for: more than anybody runs of one primary.
MOST_REPLICAS = 16
#: Linux takes 107 bytes of a Unix socket's path.
LONGEST_SOCKET_PATH = 107

_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: What decides where a cluster keeps a key.
_TAG = re.compile(r"^[^{]*\{[^}]+\}")
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
    #: Who tells which server takes writes, "sentinel" or "cluster", and where they are; "" where the one host is the server.
    finder: str = ""
    hosts: tuple[tuple[str, int], ...] = ()
    #: What sentinels call the primary and its replicas.
    service: str = ""

    @property
    def place(self) -> str:
        """Where it leads, without any secret: `redis at localhost:6379/0`, `the socket /run/redis.sock`."""
        if self.socket:
            return f"the socket {self.socket}" + (f", database {self.db}" if self.db else "")
        where = ", ".join(shown_host(host, port) for host, port in self.reached)
        if self.finder == "sentinel":
            return f"{self.scheme} primary {self.service}" + (f"/{self.db}" if self.db else "") + f" (sentinels {where})"
        if self.finder == "cluster":
            return f"{self.scheme} cluster at {where}"
        return f"{self.scheme} at {where}/{self.db}"

    @property
    def reached(self) -> tuple[tuple[str, int], ...]:
        """The hosts and ports that the URL names; none of a socket."""
        return self.hosts or (((self.host, self.port),) if not self.socket else ())

    @property
    def secrets(self) -> list[str]:
        """Every password of it, as decoded and as it may stand in a file."""
        found = [self.password, *(str(self.options.get(name, "")) for name in ("ssl_password", "sentinel_password"))]
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
    if not url.startswith(SCHEMES + MANY):
        raise Invalid(
            f"must start with {', '.join(SCHEMES[:2])} or {SCHEMES[2]}, such as redis://127.0.0.1:6379/0; of several servers with redis+sentinel:// or "
            "redis+cluster:// (by TLS rediss+sentinel://, rediss+cluster://), such as redis+sentinel://h1,h2,h3/books"
        )
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
        port = None if "+" in parts.scheme else parts.port
    except ValueError:
        raise Invalid(f"cannot be read: after the host comes : and a port from 1 to 65535; in a user's name and a password {ENCODE}") from None
    if "@" in parts.path + parts.query and "@" not in parts.netloc:
        raise Invalid(f"holds an @ behind its host; in a user's name and a password {ENCODE}")
    options = read_options(parts.query, parts.scheme, connections)
    username, password = (unquote(text or "") for text in (parts.username, parts.password))
    username, password = username or options.pop("username", ""), password or options.pop("password", "")
    options = {name: value for name, value in options.items() if name not in ("username", "password")}
    if "+" in parts.scheme:
        return _of_many(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, username, password, options)
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


def shown_host(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refuse_namespace(address: Address, namespace: str) -> None:
    """Raises `Invalid` for a namespace that a cluster would spread over its nodes: what one step touches has to be on one."""
    if address.finder == "cluster" and not _TAG.search(namespace):
        word = re.sub(r"[{}]", "", namespace) or "jarvis"
        raise Invalid(
            f"is {namespace!r}, and the broker is a cluster, which keeps together only what has one name in braces; write '{{{word}}}', for workers "
            "and engines alike"
        )


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


def _of_many(scheme: str, netloc: str, path: str, username: str, password: str, options: dict[str, Any]) -> Address:
    scheme, _, finder = scheme.partition("+")
    example = f"{scheme}+{finder}://h1,h2,h3/{'books' if finder == 'sentinel' else ''}"
    hosts = tuple(_host_and_port(text, _PORTS[finder], example) for text in netloc.split(","))
    if len(set(hosts)) < len(hosts):
        raise Invalid(f"names a host twice; write each once, such as {example}")
    service, slash, db = path.removeprefix("/").partition("/")
    if finder == "cluster":
        if service or slash or options.pop("db", 0):
            raise Invalid(f"names a database, and a cluster has one alone; write nothing behind the hosts, such as {example}")
        return Address(scheme, *hosts[0], "", 0, username, password, options, finder, hosts)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", service, re.ASCII):
        raise Invalid(f"names no primary; behind the hosts comes what the sentinels call it (`sentinel monitor NAME …`), such as {example}")
    if slash and not re.fullmatch(r"\d{1,7}", db, re.ASCII):
        raise Invalid(f"names no database by number behind the primary; write {example} or {example}/1")
    if slash and options.get("db", int(db)) != int(db):
        raise Invalid(f"names database {int(db)} and, as an option, database {options['db']}; keep one of them")
    return Address(scheme, *hosts[0], "", options.pop("db", int(db or 0)), username, password, options, finder, hosts, service)


def _host_and_port(text: str, usual_port: int, example: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        port = usual_port if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise Invalid("names a host with a port that cannot be one; a port is from 1 to 65535, and an IPv6 address stands in brackets: [::1]:26379")
    if not parts.hostname:
        raise Invalid(f"names no host, or none between two commas; write them with commas and without blanks, such as {example}")
    return _host(parts.hostname), port


def _host(name: str | None) -> str:
    host = unquote(name or "localhost")
    if "," in host:
        raise Invalid("names several hosts; write redis+sentinel:// and /NAME behind them where sentinels watch them, redis+cluster:// for a cluster")
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
