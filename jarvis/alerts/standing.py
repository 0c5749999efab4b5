"""Which alarms stand: those on which two looks agree. A process that is just being started anew is no alarm, and one look at which
an alarm happens to be away is not its end."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from jarvis.status.alarms import Raised, Severity
from jarvis_client.contract.instants import is_ahead
from jarvis_client.contract.showing import hide_passwords

#: So many looks have to agree.
LOOKS = 2
#: What is remembered at once. Nobody reads more, and what names things in the broker might name millions.
MOST_STANDING = 200
#: Of a sentence; longer ones come from errors of libraries.
MOST_LETTERS = 500

#: Name and subject of an alarm.
Key = tuple[str, str]


@dataclass(slots=True)
class Holding:
    """An alarm, since when it holds, and on how many looks it was found, and was not."""

    alarm: Raised
    since: int
    seen: int = 1
    missed: int = 0

    @property
    def stands(self) -> bool:
        return self.seen >= LOOKS


class Standing:
    """The alarms of all looks so far. `held`: those that stood when this was last written down."""

    def __init__(self, held: Iterable[Holding] = ()) -> None:
        self._holdings = {key_of(one.alarm): one for one in held}

    @property
    def alarms(self) -> dict[Key, Holding]:
        """Those that stand, the critical ones first."""
        standing = [(key, one) for key, one in self._holdings.items() if one.stands]
        return dict(sorted(standing, key=lambda item: item[1].alarm.severity is not Severity.CRITICAL))

    def look(self, found: Iterable[Raised], unknown: Collection[str], now: int) -> None:
        """Take in what a look has found. Of the names that are `unknown`, it could not say whether they hold: they stay as they were."""
        now_found = {key_of(alarm): told_of(alarm) for alarm in found}
        for key, alarm in now_found.items():
            holding = self._holdings.get(key)
            if holding is not None:
                holding.alarm, holding.seen, holding.missed = alarm, holding.seen + 1, 0
            elif len(self._holdings) < MOST_STANDING:
                since = now if alarm.since is None or is_ahead(alarm.since, now) else alarm.since
                self._holdings[key] = Holding(alarm, since)
        for key in [key for key in self._holdings if key not in now_found and key[0] not in unknown]:
            self._holdings[key].missed += 1
            if self._holdings[key].missed >= LOOKS:
                del self._holdings[key]


def key_of(alarm: Raised) -> Key:
    return alarm.name, alarm.subject


def told_of(alarm: Raised) -> Raised:
    """An alarm with nothing in it that quotes a record or a password: all that anybody else here ever holds."""
    return replace(alarm, says=hide_passwords(alarm.tells or alarm.name)[:MOST_LETTERS], tells="", subject=hide_passwords(alarm.subject)[:MOST_LETTERS])
