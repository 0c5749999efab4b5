"""Closed sets of words."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from jarvis_client.contract.errors import Invalid


class Choice(StrEnum):
    """A closed set of words. A text beside it is taken whatever its case; anything else is refused, and the words are named."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        wanted = cls._synonyms().get(value.strip().casefold()) if isinstance(value, str) else None
        if wanted is None:
            raise Invalid(f"{value!r:.60} is no {cls._called()}; there are {', '.join(cls)}")
        return wanted

    @classmethod
    def _synonyms(cls) -> dict[str, Self]:
        return {str(member.value): member for member in cls}

    @classmethod
    def _called(cls) -> str:
        """The name of the set, as messages say it."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__).lower()
