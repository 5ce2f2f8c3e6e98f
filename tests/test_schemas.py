from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any, get_args

import fastavro
import pytest
from fastavro.schema import expand_schema, parse_schema

from pipelines import schemas
from pipelines.records import FurnitureKind
from pipelines.stages.arabic.furniture import RULES

KINDS = (
    schemas.RAW,
    schemas.ARTICLES,
    schemas.DUPLICATES,
    schemas.ENTITIES,
    schemas.INDEX,
    schemas.DEAD_LETTERS,
)
kinds = pytest.mark.parametrize("kind", KINDS)


def named_types(schema: Any) -> Iterator[dict[str, Any]]:
    """The records and enums in a schema, itself first, each where it is defined."""
    if isinstance(schema, list):
        for branch in schema:
            yield from named_types(branch)
    elif isinstance(schema, dict):
        if schema["type"] in ("record", "enum", "fixed"):
            yield schema
        for field in schema.get("fields", ()):
            yield from named_types(field["type"])
        for inner in ("items", "values", "type"):
            yield from named_types(schema.get(inner))


def fields(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for record in named_types(json.loads(schemas.text(kind))):
        for field in record.get("fields", ()):
            yield f"{record['name']}.{field['name']}", field


def test_a_schema_for_each_file():
    """Every file in schemas/ is the schema of one kind of topic, and the other way round."""
    assert {path.name for path in schemas.FOLDER.glob("*.avsc")} == {
        f"news.{kind}.avsc" for kind in KINDS
    }


@kinds
def test_parses(kind):
    """Each is Avro, a record in the namespace khabar, and holds no reference to itself."""
    schema = json.loads(schemas.text(kind))
    assert schema["type"] == "record"
    assert schema["namespace"] == "khabar"
    assert schemas.parsed(kind)["name"] == f"khabar.{schema['name']}"


@kinds
def test_everything_is_explained(kind):
    """Every record, enum and field says what it is."""
    for schema in named_types(json.loads(schemas.text(kind))):
        assert schema.get("doc", "").strip(), schema["name"]
    for name, field in fields(kind):
        assert field.get("doc", "").strip(), name


@kinds
def test_what_may_be_absent_defaults_to_null(kind):
    """A field that may be null is null by default, so that a reader can leave it out or add it."""
    for name, field in fields(kind):
        if isinstance(field["type"], list):
            assert field["type"][0] == "null", name
            assert field["default"] is None, name


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != schemas.INDEX])
def test_enums_can_grow(kind):
    """Each enum has a default, so that an older reader survives a symbol that it does not know.

    Not in the index: an unknown kind of entry there must be an error.
    """
    for schema in named_types(json.loads(schemas.text(kind))):
        if schema["type"] == "enum":
            assert schema["default"] in schema["symbols"], schema["name"]


def test_a_shared_type_is_the_same_everywhere():
    """A name that several schemas define, such as Entity, means the same in all of them."""
    seen: dict[str, tuple[str, Any]] = {}
    for kind in KINDS:
        for schema in named_types(expand_schema(json.loads(schemas.text(kind)))):
            name = schema["name"]
            first, definition = seen.setdefault(name, (kind, schema))
            assert schema == definition, f"{name} differs between {first} and {kind}"


def example(schema: Any, known: dict[str, Any]) -> Any:
    """A value of a schema, the last branch of each union."""
    if isinstance(schema, list):
        return example(schema[-1], known)
    if isinstance(schema, str):
        if schema in known:
            return example(known[schema], known)
        return {
            "string": "نص",
            "int": 7,
            "long": 7,
            "double": 0.5,
            "boolean": True,
            "bytes": b"\xff",
        }[schema]
    kind = schema["type"]
    if kind == "record":
        return {field["name"]: example(field["type"], known) for field in schema["fields"]}
    if kind == "enum":
        return schema["symbols"][-1]
    if kind == "array":
        return [example(schema["items"], known)]
    if kind == "map":
        return {"k": example(schema["values"], known)}
    return example(kind, known)


@kinds
def test_a_later_reader_can_follow(kind):
    """BACKWARD: with a field added that has a default, or one left out, old records are read."""
    old = json.loads(schemas.text(kind))
    known = {schema["name"]: schema for schema in named_types(old)}
    stream = BytesIO()
    fastavro.schemaless_writer(stream, schemas.parsed(kind), example(old, known))
    added = {"name": "later", "type": ["null", "string"], "doc": "-", "default": None}
    new = {**old, "fields": [*old["fields"][1:], added]}
    # The first field of no schema defines a type that a later one refers to.
    stream.seek(0)
    record = fastavro.schemaless_reader(
        stream, schemas.parsed(kind), parse_schema(new, named_schemas={})
    )
    assert record["later"] is None
    assert old["fields"][0]["name"] not in record
    assert len(record) == len(old["fields"])


def test_every_kind_of_furniture_is_explained():
    """The kinds of the code, those of the table among them, are the ones that the schema names."""
    doc = dict(fields(schemas.ARTICLES))["Furniture.kind"]["doc"]
    listed = re.sub(r"\([^)]*\)", "", doc.removeprefix("What it is: ").partition(". ")[0])
    kinds = set(get_args(FurnitureKind))
    assert {kind.strip() for kind in re.split("[;,]", listed)} == kinds
    assert {rule.kind for rule in RULES} <= kinds
