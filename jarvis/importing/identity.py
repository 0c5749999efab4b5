"""The id of a row that has none: a digest of its own cells, and its count among equal rows of the file.

A longer export of the same months has the same rows, and so the same ids: they are duplicates. Two rows that are equal in every cell
are twins, `-1` and `-2`. Neither the order of rows or columns, nor how the file is written (byte-order mark, line ends, quotes,
delimiter, 1.50 or 1.5, the form of a time), makes a difference. What it cannot tell: of an export that begins between two twins, the second is `-1` again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from jarvis.importing.cells import number_text

#: 96 bits: among ten million rows, two different ones are alike once in 10^15 files.
_DIGEST_BYTES = 12


class Identities:
    """The ids of the rows of one file."""

    def __init__(self, decimal: str | None) -> None:
        self._decimal = decimal
        self._seen: defaultdict[bytes, int] = defaultdict(int)

    def id_of(self, cells: Iterable[tuple[str, str]]) -> str:
        """The id of the next row of the file; `cells` are its columns, folded, with what stands in each. Empty ones say nothing."""
        told = sorted((column, number_text(text, self._decimal)) for column, text in cells if text)
        digest = hashlib.blake2b("\x1e".join(f"{column}\x1f{text}" for column, text in told).encode(), digest_size=_DIGEST_BYTES)
        self._seen[digest.digest()] += 1
        return f"csv:{digest.hexdigest()}-{self._seen[digest.digest()]}"
