"""Records of every released version are read by the newest schemas, newest records by those of
every released version; a change that would break either is refused, and each refusal can fail.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest

from pipelines import __version__, schemas
from pipelines.kafka.topics import KINDS
from tests import evolution
from tests.evolution import FOLDER, PUBLIC, as_json, changes, seen_by, versions, written

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
each_version = pytest.mark.parametrize("version", versions())


def newest(kind: str) -> Any:
    return json.loads(schemas.text(kind))


def resolved(record: Any, writer: Any, reader: Any) -> Any:
    """A record written by one schema and read by another."""
    writer, reader = (
        fastavro.parse_schema(copy.deepcopy(each), named_schemas={}) for each in (writer, reader)
    )
    stream = BytesIO()
    fastavro.schemaless_writer(stream, writer, record)
    stream.seek(0)
    return as_json(fastavro.schemaless_reader(stream, writer, reader))


# --- records ---


@each_version
@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_reads_the_records_of_every_version(version, kind):
    """Each value is as it was written, and a field that came later has its default."""
    lines = (FOLDER / version / "records.jsonl").read_text(encoding="utf-8").splitlines()
    values = [record for line in lines for of, record in json.loads(line).items() if of == kind]
    assert values
    assert written(version, kind) == values
    reader = fastavro.parse_schema(newest(kind), named_schemas={})
    assert written(version, kind, reader) == [seen_by(newest(kind), value) for value in values]


@each_version
@pytest.mark.parametrize("kind", PUBLIC)
def test_readers_of_every_version_read_the_newest_records(version, kind):
    """A consumer that stayed at an old schema gets its own fields of a new record, and for a symbol
    that it does not know the enum's default."""
    theirs = evolution.schema(version, kind)
    for record in evolution.records(kind):
        assert resolved(record, newest(kind), theirs) == seen_by(theirs, as_json(record))


def test_the_records_tell_every_verdict_that_readers_act_on():
    """Removals are among the records of each version that knows them."""
    for version in versions():
        found = {record["verdict"] for record in written(version, schemas.ARTICLES)}
        assert {"new", "update", "revision", "correction", "removal"} <= found
        assert {record["removed"] for record in written(version, schemas.ENTITIES)} == {False, True}
        rules = {record["rule"] for record in written(version, schemas.DUPLICATES)}
        assert {"likeness", "removed"} <= rules


# --- schemas ---


@each_version
@pytest.mark.parametrize("kind", PUBLIC)
def test_the_newest_schema_breaks_no_released_one(version, kind):
    """Between a version's schema and the newest lie only changes that schemas/README.md allows."""
    found = changes(evolution.schema(version, kind), newest(kind))
    assert not found, (
        f"news.{kind}.avsc cannot follow that of {version}: {'; '.join(found)}. Leave what is "
        "there and add a field with a default instead; schemas/README.md says what may change."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_records_of_the_coming_version_are_of_its_schemas(kind):
    """Until a version is released, its folder follows the schemas; when one is, it is kept."""
    if __version__ in evolution.released():
        pytest.skip(f"{__version__} is released: its folder stays")
    assert __version__ in versions(), "type: python -m tests.evolution"
    assert evolution.schema(__version__, kind) == newest(kind), "type: python -m tests.evolution"


def test_what_is_released_stays_as_it_was():
    """No file of a released version has changed, and each version of the CHANGELOG is released."""
    for version, digest in evolution.released().items():
        assert evolution.digest(version) == digest, f"the files of {version} were changed"
    told = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", CHANGELOG.read_text("utf-8"), re.MULTILINE)
    assert set(told) <= evolution.released().keys(), "type: python -m tests.evolution release"


# --- what is refused, and by whom ---


class Change(NamedTuple):
    """A change of the schema of articles; `rules` is what of it is refused, "" for nothing;
    `registry` whether a registry with BACKWARD refuses it too."""

    rules: str
    registry: bool
    make: Callable[[Any], object]


def field(schema: Any, name: str) -> Any:
    """A field by its name; after a point, a field of the records that it is an array of."""
    name, _, inner = name.partition(".")
    found = next(each for each in schema["fields"] if each["name"] == name)
    return field(found["type"]["items"], inner) if inner else found


def verdicts(schema: Any) -> Any:
    return field(schema, "verdict")["type"]


def drop(schema: Any, name: str) -> None:
    schema["fields"].remove(field(schema, name))


NEW = {"name": "later", "type": "string", "doc": "-"}
CHANGES = {
    "a field renamed": Change(
        "Article.body went", True, lambda s: field(s, "body").update(name="text")
    ),
    "a field removed": Change("Article.body went", False, lambda s: drop(s, "body")),
    "a field with a default removed": Change("Article.news went", False, lambda s: drop(s, "news")),
    "a field of an inner record renamed": Change(
        "Article.related.relation went",
        True,
        lambda s: field(s, "related.relation").update(name="kind"),
    ),
    "int to long": Change(
        'Article.revision: its type "int" became "long"',
        False,
        lambda s: field(s, "revision").update(type="long"),
    ),
    "long to int": Change(
        "Article.sequence: its type", True, lambda s: field(s, "sequence").update(type="int")
    ),
    "a type made optional": Change(
        "Article.body: its type", False, lambda s: field(s, "body").update(type=["null", "string"])
    ),
    "a branch added to a union": Change(
        "Article.url: its type", False, lambda s: field(s, "url")["type"].append("int")
    ),
    "a time made a number": Change(
        "Article.ingested_at: its logicalType",
        False,
        lambda s: field(s, "ingested_at")["type"].pop("logicalType"),
    ),
    "a default changed": Change(
        "Article.published_at_relative: its default changed",
        False,
        lambda s: field(s, "published_at_relative").update(default=True),
    ),
    "a default removed": Change(
        "Article.news: its default changed", False, lambda s: field(s, "news").pop("default")
    ),
    "a record renamed": Change("Article: its name", True, lambda s: s.update(name="Item")),
    "an enum renamed": Change(
        "Article.verdict: its name", True, lambda s: verdicts(s).update(name="Judgement")
    ),
    "a symbol removed": Change(
        "symbols of khabar.Verdict went", False, lambda s: verdicts(s)["symbols"].remove("removal")
    ),
    "a symbol put first": Change(
        "symbols of khabar.Verdict went, or changed places",
        False,
        lambda s: verdicts(s)["symbols"].insert(0, "first"),
    ),
    "an enum's default changed": Change(
        "the default of khabar.Verdict changed",
        False,
        lambda s: verdicts(s).update(default="update"),
    ),
    "a field without a default added": Change(
        "Article.later is new and has no default", True, lambda s: s["fields"].append(NEW)
    ),
    "a field with a default added": Change(
        "", False, lambda s: s["fields"].append(NEW | {"default": ""})
    ),
    "a field with a default put first": Change(
        "", False, lambda s: s["fields"].insert(0, NEW | {"default": ""})
    ),
    "a symbol added at the end": Change("", False, lambda s: verdicts(s)["symbols"].append("last")),
    "a doc changed": Change("", False, lambda s: field(s, "body").update(doc="otherwise")),
}
each_change = pytest.mark.parametrize("name", CHANGES)


def changed(name: str) -> Any:
    """The schema of articles with a change."""
    schema = newest(schemas.ARTICLES)
    CHANGES[name].make(schema)
    assert schema != newest(schemas.ARTICLES)
    return schema


@each_change
def test_the_rules_refuse_what_breaks_a_reader(name):
    """What is refused is named by its place; what is allowed is not refused."""
    found = changes(newest(schemas.ARTICLES), changed(name))
    assert len(found) == bool(CHANGES[name].rules) or name.endswith("renamed")
    assert CHANGES[name].rules in "; ".join(found)


@pytest.mark.parametrize("name", [name for name in CHANGES if not CHANGES[name].rules])
def test_what_the_rules_allow_keeps_its_promise(name):
    """With each allowed change, old readers read new records and new readers old ones, each its own
    fields, defaults, and the enum's default for a symbol that it does not know."""
    old, new = newest(schemas.ARTICLES), changed(name)
    for record in evolution.records(schemas.ARTICLES):
        assert resolved(record, old, new) == seen_by(new, as_json(record))
        later = record | {"verdict": verdicts(new)["symbols"][-1], "later": "x"}
        assert resolved(later, new, old) == seen_by(old, as_json(later))
    assert seen_by(verdicts(old), "last") == "new"
