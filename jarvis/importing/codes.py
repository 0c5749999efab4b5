"""A venue's codes and pairs as the books write them: XXBT is BTC, XXBTZEUR is BTC/EUR."""

from __future__ import annotations

import re

from jarvis.importing.profile import Profile


class Codes:
    """What a profile says of codes."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def code(self, text: str) -> str:
        """A venue's code as the books write it."""
        if (known := self._profile.codes.get(text)) is not None:
            return known
        for pattern, written in self._profile.code_patterns.items():
            text = re.sub(pattern, written, text)
        return self._profile.codes.get(text, text)

    def pair(self, text: str) -> str | tuple[str, str] | None:
        """What a venue's pair names: base and quote, or a contract's symbol; None where the profile does not say."""
        if (known := self._profile.pairs.get(text)) is not None:
            base, _, quote = known.partition("/")
            return known if ":" in known else (base, quote)
        found = next((m for pattern in self._profile.pair_patterns if (m := re.fullmatch(pattern, text))), None)
        return None if found is None else (self.code(found["base"]), self.code(found["quote"]))


def joined(pair: str) -> str:
    """A pair without what separates its two codes."""
    return re.sub(r"[/_\- ]", "", pair)
