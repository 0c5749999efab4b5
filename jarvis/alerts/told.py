"""What one channel was told, and when it is told again.

It is told an alarm once when it begins, again while it lasts, at pauses that double up to a day, and once when it is over. One that
comes back within the first pause goes on as the same one: told as "again", and from then on, while it comes and goes, no more often
than one that lasts; its end is told once it has stayed away for that first pause.

Pauses are counted by a clock that only goes forward, so a clock that is set causes neither silence nor a storm. Between processes
there is only the clock on the wall, which may cost one repetition too many, or a pause begun anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jarvis.alerts.message import Kind, Said
from jarvis.alerts.standing import Holding, Key, key_of
from jarvis.status.alarms import Raised

LONGEST_PAUSE_SECONDS = 86_400.0


@dataclass(slots=True)
class Entry:
    """What was told of one alarm. `next_at`: when it is told again, or, once it is `over`, forgotten."""

    alarm: Raised
    since: int
    told_at: int
    next_at: int
    pause_seconds: float
    over: bool = False
    returns: int = 0
    away_at: int | None = None
    """Since when it is away and that was not told yet."""


class Told:
    """The entries of one channel. `now` is the clock on the wall (microseconds UTC), `steady` seconds of one that only goes forward."""

    def __init__(self, repeat_seconds: float, entries: Iterable[Entry], *, now: int, steady: float) -> None:
        self._repeat = min(repeat_seconds, LONGEST_PAUSE_SECONDS)
        self._entries = {key_of(entry.alarm): entry for entry in entries}
        #: When an entry is due, and since when one is away, by the steady clock.
        self._due = {key: steady + _within((entry.next_at - now) / 1e6, entry.pause_seconds) for key, entry in self._entries.items()}
        self._away = {key: steady - _within((now - entry.away_at) / 1e6, self._repeat) for key, entry in self._entries.items() if entry.away_at is not None}

    @property
    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def due(self, standing: Mapping[Key, Holding], now: int, steady: float) -> list[Said]:
        """What has to be told now."""
        said = []
        for key, holding in standing.items():
            kind = self._of_standing(key, steady)
            if kind is not None:
                entry = self._entries.get(key)
                said.append(Said(kind, holding.alarm, holding.since if entry is None or kind is Kind.AGAIN else entry.since, now))
        for key in [key for key in self._entries if key not in standing]:
            entry = self._entries[key]
            if entry.over:
                if steady >= self._due[key]:
                    self._forget(key)
                continue
            if entry.away_at is None:
                entry.away_at, self._away[key] = now, steady
            if not entry.returns or steady - self._away[key] >= self._repeat:
                said.append(Said(Kind.OVER, entry.alarm, entry.since, entry.away_at))
        return said

    def _of_standing(self, key: Key, steady: float) -> Kind | None:
        entry = self._entries.get(key)
        if entry is None:
            return Kind.RAISED
        if entry.over:
            return Kind.AGAIN
        entry.away_at = None
        self._away.pop(key, None)
        return Kind.STILL if steady >= self._due[key] else None

    def confirm(self, said: Iterable[Said], now: int, steady: float) -> None:
        """It was told, that is, it was delivered."""
        for one in said:
            key = key_of(one.alarm)
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = Entry(one.alarm, one.since, now, now, self._repeat)
            elif one.kind is Kind.OVER:
                entry.over, entry.away_at = True, None
            else:
                entry.alarm, entry.since, entry.over = one.alarm, one.since, False
                entry.returns += one.kind is Kind.AGAIN
                entry.pause_seconds = min(2 * entry.pause_seconds, LONGEST_PAUSE_SECONDS)
            wait = self._repeat if entry.over else entry.pause_seconds
            self._due[key] = steady + wait
            entry.told_at, entry.next_at = now, now + int(wait * 1e6)

    def _forget(self, key: Key) -> None:
        for kept in (self._entries, self._due, self._away):
            kept.pop(key, None)


def _within(seconds: float, most: float) -> float:
    return min(max(seconds, 0.0), most)
