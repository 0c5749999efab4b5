"""What rate records say, beside what an account's own records tell."""

from __future__ import annotations

from bisect import bisect_right

from persistence.books.account_history import AccountBooks, KnownRate


class SaidRates:
    """The rate records of the currencies that are asked for, from an instant on; each is read once."""

    def __init__(self, books: AccountBooks, since: int) -> None:
        self._books = books
        self._since = since
        self._of: dict[str, list[KnownRate]] = {}

    def newest(self, currency: str, at: int, told: KnownRate | None) -> KnownRate | None:
        """The newest at or before an instant of what was said and of what was told; at one instant what was said counts."""
        if currency not in self._of:
            self._of[currency] = self._books.said_rates(currency, self._since)
        said = self._of[currency]
        index = bisect_right(said, at, key=lambda rate: rate.at)
        if not index:
            return told
        return said[index - 1] if told is None or said[index - 1].at >= told.at else told
