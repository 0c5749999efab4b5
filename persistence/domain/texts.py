"""One text for one value, and its digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_text(value: Any) -> str:
    """The one JSON text of a value: no spaces, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
