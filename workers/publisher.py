"""The client, under the name that it had before it was a package of its own: new code imports `jarvis_client`."""

from __future__ import annotations

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.publisher import Publisher

__all__ = ["MalformedRecord", "Publisher"]
