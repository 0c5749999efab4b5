"""What the query of a broker's URL may say, and how each of it is read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from jarvis_client.contract.errors import Invalid

#: Options that a worker sets itself: a shorter limit would end the waits for a message that an idle queue consists of.
OURS = ("socket_timeout", "socket_connect_timeout", "retry_on_timeout", "max_connections")
ENCODE = "write / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, % as %25"


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
#: User and password of the sentinels themselves; those before the hosts are the servers'.
SENTINEL_OPTIONS: dict[str, Callable[[str], Any]] = {"sentinel_username": str, "sentinel_password": str}


def read_options(query: str, scheme: str, connections: int) -> dict[str, Any]:
    """What a query says. Raises `Invalid`."""
    known = OPTIONS | (TLS_OPTIONS if scheme.startswith("rediss") else {}) | (SENTINEL_OPTIONS if scheme.endswith("+sentinel") else {})
    options: dict[str, Any] = {}
    if "+" in query:
        raise Invalid("holds a + behind its ?, where it stands for a space; write + as %2B and a space as %20")
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in TLS_OPTIONS and name not in known:
            secure = scheme.replace("redis", "rediss", 1)
            raise Invalid(f"has the option {name}, which is for {secure}://; write {secure}:// for TLS, or leave it out")
        if name in SENTINEL_OPTIONS and name not in known:
            raise Invalid(f"has the option {name}, which is for redis+sentinel://; leave it out")
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
        return f"has a ?, and what follows is no option; in a user's name and a password {ENCODE}"
    known = [*OPTIONS, *TLS_OPTIONS, *SENTINEL_OPTIONS]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"has the option {name}, which does not exist" + (f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}")
