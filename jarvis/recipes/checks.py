"""What a path, a name and an address may be where they are put into a unit or a configuration. Each raises `Invalid`."""

from __future__ import annotations

import ipaddress
import re

from jarvis_client.contract.errors import Invalid

#: What the units do not see: ProtectHome= and PrivateTmp= of deploy/systemd.
UNSEEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named to be refused
ADDRESS_WORDS = ("localhost", "link-local", "multicast", "any")


def whole_path(text: str, option: str) -> str:
    """A path that units can name and see."""
    if not re.fullmatch(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", text):
        raise Invalid(f"{option} is {text!r:.80}; give a whole path of letters, digits, dots, hyphens and underscores, such as /srv/jarvis")
    if (unseen := next((folder for folder in UNSEEN if text == folder or text.startswith(f"{folder}/")), None)) is not None:
        raise Invalid(f"{option} is {text}; the units see nothing below {unseen} (ProtectHome=, PrivateTmp=): name another folder")
    return text


def name(text: str, option: str) -> str:
    """A user or a group."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", text):
        raise Invalid(f"{option} is {text!r:.80}; a user or group is of lower-case letters, digits, hyphens and underscores, and begins with a letter")
    return text


def host(text: str, option: str) -> str:
    """A host's name or address as a URL has it."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]", text):
        raise Invalid(f"{option} is {text!r:.80}; give a name such as redis.example.com, or an address ([::1] in brackets)")
    return text


def namespace(text: str, option: str) -> str:
    """What stands before the keys, as `broker.namespace` names it."""
    if not re.fullmatch(r"[A-Za-z0-9_.{}-]{1,64}", text):
        raise Invalid(f"{option} is {text!r:.80}; it is what broker.namespace says, of letters, digits and _.-{{}}")
    return text


def network(text: str, option: str) -> str:
    """What IPAddressAllow= takes."""
    if text not in ADDRESS_WORDS:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise Invalid(f"{option} is {text!r:.80}; give an address (10.0.0.5), a network (10.0.0.0/24), or one of {', '.join(ADDRESS_WORDS)}") from None
    return text
