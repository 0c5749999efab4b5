"""How a publisher reaches Redis: its URL checked, its patience bounded."""

from __future__ import annotations

from jarvis_client.contract.address import read_address
from jarvis_client.contract.errors import Invalid, MalformedRecord

#: Tries after the first, with a pause of up to 0.2, 0.4, 0.8, 1 and 1 seconds before each: a failover or a restart is over by then.
RETRIES = 5
#: With a spool, what cannot be sent at once is kept: the engine waits for no longer than a lost connection takes to be made anew.
RETRIES_WITH_SPOOL = 1
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


def checked_url(url: str | None) -> str:
    """Raises `MalformedRecord` where it cannot be used, saying what to write instead."""
    if url is None:
        raise MalformedRecord("give the broker's url (the one that `jarvis up` prints), or a redis client")
    try:
        address = read_address(url)
    except Invalid as error:
        raise MalformedRecord(f"the broker's url {error}") from None
    if (problem := address.unreadable_file()) is not None:
        raise MalformedRecord(f"the broker's url: {problem}")
    return url
