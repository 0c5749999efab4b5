"""What is made from the JSON Schemas and checked in is what would be made now."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jarvis.asyncapi import document, document_text
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES
from workers.schemas import schema_texts
from workers.typescript import types_text

DOCS = Path(__file__).parents[2] / "docs"
MADE = {"asyncapi.yaml": document_text, "publish/records.d.ts": types_text} | {f"schemas/{n}": (lambda t=t: t) for n, t in schema_texts().items()}


@pytest.mark.parametrize("name", MADE)
def test_a_made_file_is_up_to_date(name):
    assert (DOCS / name).read_text("utf-8") == MADE[name](), f"docs/{name} is out of date: make schemas"


def test_the_document_describes_every_actor_on_its_queue_with_the_schema_of_its_record():
    made = yaml.safe_load(document_text())
    assert made == document()
    for kind, route in {**ROUTES, "job": JOBS_ROUTE}.items():
        assert made["operations"][route.actor]["channel"] == {"$ref": f"#/channels/{route.queue}"}
        assert route.actor in made["channels"][route.queue]["messages"]
        properties = made["components"]["messages"][route.actor]["payload"]["properties"]
        assert (properties["queue_name"], properties["actor_name"]) == ({"const": route.queue}, {"const": route.actor})
        assert (DOCS / f"schemas/{kind}.schema.json").is_file()
        assert f"./schemas/{kind}.schema.json" in str(properties["args"])


@pytest.mark.parametrize("name", ["publish.sh", "publish.ts", "publish.go", "publish.rs"])
def test_a_publisher_is_read_on_one_screen_and_says_how_to_run_it(name):
    text = (DOCS / "publish" / name).read_text()
    assert len(text.splitlines()) <= 40
    assert text.lower().index("hset") < text.lower().index("rpush"), "the payload before its id"
    assert name in text.partition("\n\n")[0], "the line that runs it stands at its top"
