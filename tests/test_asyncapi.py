"""schemas/asyncapi.yaml says of the topics what is true of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml

from pipelines import __version__, schemas
from pipelines.kafka import dead_letters, topics
from pipelines.records import EntityType, Failure, Origin, RawMessage, Removal
from pipelines.run import REGISTERED
from pipelines.settings import Settings
from pipelines.stages.encode import MAX_BYTES, Topics, dead_letter
from pipelines.stages.removal import HEADER, HEADER_VALUE, REASON_CHARACTERS, request

FILE = schemas.FOLDER / "asyncapi.yaml"
DOCUMENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
CHANNELS = DOCUMENT["channels"]
AVRO = "application/vnd.apache.avro;version=1.9.0"


def at(reference: str) -> Any:
    """What a reference within the document points at."""
    found = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def messages(kind: str) -> dict[str, Any]:
    return {name: at(each["$ref"]) for name, each in CHANNELS[kind]["messages"].items()}


def test_every_reference_holds():
    """Each points at something of the document, or at a schema beside it."""
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert at(reference) if reference.startswith("#/") else (FILE.parent / reference).is_file()


def test_the_version_is_the_programs():
    """The document has the version of the program."""
    assert DOCUMENT["info"]["version"] == __version__


def test_channels_are_the_topics():
    """A channel for each topic, with the partitions and settings that `khabar topics` gives it."""
    wanted = topics.wanted(Settings.of({}))
    assert [channel["address"] for channel in CHANNELS.values()] == [t.name for t in wanted]
    assert list(CHANNELS) == list(topics.KINDS)
    for channel, topic in zip(CHANNELS.values(), wanted, strict=True):
        kafka = channel["bindings"]["kafka"]
        assert kafka["partitions"] == topic.partitions
        assert {
            name: ",".join(value) if isinstance(value, list) else str(value)
            for name, value in kafka["topicConfiguration"].items()
        } == topic.config


def test_operations_are_what_the_pipeline_does():
    """It receives the raw topic, as the default group, sends all others, and reads its index."""
    done = {
        (each["action"], each["channel"]["$ref"].removeprefix("#/channels/"))
        for each in DOCUMENT["operations"].values()
    }
    reads = {("receive", schemas.RAW), ("receive", schemas.INDEX)}
    assert done == reads | {("send", kind) for kind in topics.OUTPUTS}
    group = DOCUMENT["operations"]["readRaw"]["bindings"]["kafka"]["groupId"]
    assert group["default"] == Settings.of({}).group


@pytest.mark.parametrize("kind", topics.KINDS)
def test_registered_kinds_are_avro_by_their_schema(kind):
    """A topic whose schema is registered has a message with that file, its id in the value; the
    dead letters have none."""
    avro = [each for each in messages(kind).values() if "schemaFormat" in each["payload"]]
    assert len(avro) == (kind in REGISTERED)
    for message in avro:
        assert message["payload"] == {
            "schemaFormat": AVRO,
            "schema": {"$ref": f"./news.{kind}.avsc"},
        }
        kafka = message["bindings"]["kafka"]
        assert kafka["schemaIdLocation"] == "payload"
        assert kafka["schemaIdPayloadEncoding"] == "confluent"
        key = kafka["key"]
        assert (at(key["$ref"]) if "$ref" in key else key)["type"] == "string"


def failed(key: bytes | None, value: bytes | None, *headers: tuple[str, bytes | None]) -> Any:
    """The headers of the dead letter that a message becomes."""
    raw = RawMessage(Origin("news.raw", 0, 7, -1), key, value, headers)
    letter = dead_letter(raw, Failure("decode", "empty", "it is empty"), Topics("news", {}))
    return {name: content.decode() for name, content in letter.headers if name != "own"}


def check(headers: dict[str, str], schema: dict[str, Any]) -> None:
    """Whether the headers are as the document says."""
    assert set(schema["required"]) <= set(headers)
    for name, value in headers.items():
        told = schema["properties"][name]
        assert told["type"] == "string"
        assert re.search(told.get("pattern", ""), value), name
        assert value == told.get("const", value), name


def test_the_headers_of_dead_letters_are_those_that_are_written():
    """Each header that a dead letter can have is told, those that it always has as required, and
    no other."""
    (message,) = messages(schemas.DEAD_LETTERS).values()
    letters = [
        failed(b"k", b"v"),
        failed(b"k", b"v", ("own", None)),
        failed(None, None),
        failed(b"k", bytes(MAX_BYTES + 1)),
    ]
    for letter in letters:
        check(letter, message["headers"])
    always = set.intersection(*map(set, letters))
    assert set(message["headers"]["required"]) == always
    assert set(message["headers"]["properties"]) == set.union(*map(set, letters))


def test_the_headers_of_messages_sent_back_are_told():
    """They are those that `khabar replay` sets."""
    assert list(at("#/components/schemas/rawHeaders")["properties"]) == [
        dead_letters.ATTEMPTS,
        dead_letters.REPLAY_OF,
        dead_letters.ORIGIN_TOPIC,
        dead_letters.ORIGIN_PLACE,
        dead_letters.ORIGIN_TIME,
    ]


def test_a_request_to_remove_is_as_the_document_says():
    """Its header, its fields, and what they may hold."""
    message = messages(schemas.RAW)["removal"]
    check({HEADER: HEADER_VALUE.decode()}, message["headers"])
    payload = message["payload"]
    fields = json.loads(request("0" * 32, Removal("reason", entities=(("loc:x", "LOC"),))))
    assert list(fields) == payload["required"] == list(payload["properties"])
    assert payload["properties"]["reason"]["maxLength"] == REASON_CHARACTERS
    entity = payload["properties"]["entities"]["items"]
    assert list(fields["entities"][0]) == entity["required"] == list(entity["properties"])
    assert entity["properties"]["type"]["enum"] == list(get_args(EntityType))
