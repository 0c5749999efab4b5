"""How long certificates hold: the server's, as it shows it, and those in the files that broker.url names.

The standard library decodes a certificate only where it has also verified it, so the two dates are read here.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from jarvis.doctor.diagnosis import Diagnosis, not_checked, problem, warning, well
from jarvis_client.contract.address import Address, shown_host
from jarvis_client.contract.instants import to_datetime

#: Time enough to get another one without hurry.
SOON_DAYS = 30
_SECONDS = 5.0
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17


def look(address: Address, now: int) -> Iterator[Diagnosis]:
    shown: list[tuple[str, bytes]] = []
    for host, port in address.reached:
        name, who = "the server's certificate", "the server"
        if len(address.reached) > 1:
            who = shown_host(host, port)
            name = f"the certificate of {who}"
        try:
            shown.append((name, _of_server(address, host, port)))
        except (OSError, ValueError) as error:
            yield not_checked("certificate", f"{who} shows none: {error}")
    for option in ("ssl_ca_certs", "ssl_certfile"):
        path = address.options.get(option)
        if path is not None:
            with suppress(OSError):
                shown += [(path, ssl.PEM_cert_to_DER_cert(text)) for text in _PEM.findall(Path(path).read_text("ascii", "replace"))]
    for name, certificate in shown:
        try:
            yield _judge(name, end_of(certificate), to_datetime(now))
        except (ValueError, IndexError):
            yield not_checked("certificate", f"{name} cannot be read")


def _judge(name: str, end: datetime, now: datetime) -> Diagnosis:
    days = (end - now).days
    if end <= now:
        return problem("certificate", f"{name} ended on {end:%Y-%m-%d}", "nobody accepts one that has ended", "put a new one in its place")
    if days < SOON_DAYS:
        return warning(
            "certificate", f"{name} ends in {days} day{'s' * (days != 1)}, on {end:%Y-%m-%d}", f"{SOON_DAYS} days leave time for another", "renew it"
        )
    return well("certificate", f"{name} holds until {end:%Y-%m-%d}")


def _of_server(address: Address, host: str, port: int) -> bytes:
    """What the server shows, accepted or not: whether it is accepted shows when the client connects."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if address.options.get("ssl_certfile"):
        context.load_cert_chain(address.options["ssl_certfile"], address.options.get("ssl_keyfile"), address.options.get("ssl_password"))
    with socket.create_connection((host, port), _SECONDS) as raw, context.wrap_socket(raw, server_hostname=host) as connection:
        return connection.getpeercert(binary_form=True) or b""


def end_of(certificate: bytes) -> datetime:
    """The end of the validity of a certificate in DER. Raises ValueError or IndexError for what is none."""
    _, inside, _ = _element(certificate, 0)
    _, at, _ = _element(certificate, inside)
    tag, _, end = _element(certificate, at)
    # Behind the version, where there is one: serial number, algorithm, issuer, validity.
    for _ in range(4 if tag == _VERSION else 3):
        at = end
        _, begin, end = _element(certificate, at)
    _, _, behind_the_start = _element(certificate, begin)
    tag, begin, end = _element(certificate, behind_the_start)
    text = certificate[begin:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the element at a place, and where its content begins and ends."""
    tag, length, begin = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + count]), begin + count
    return tag, begin, begin + length
