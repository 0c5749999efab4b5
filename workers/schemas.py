"""Writes the JSON Schemas of the contract: `python -m workers.schemas FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from workers.messages import json_schemas


def schema_texts() -> dict[str, str]:
    """The text of each schema by its file name."""
    return {f"{kind}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for kind, schema in json_schemas().items()}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
