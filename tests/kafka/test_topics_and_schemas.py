"""Topics and schemas: made, checked, and refused when they could lose something."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.kafka import clients, topics
from pipelines.kafka.registry import Registry
from pipelines.run import REGISTERED, check_schemas, register, schema_ids, subject
from pipelines.settings import Settings
from tests import evolution
from tests.kafka.harness import REPOSITORY, environment
from tests.test_evolution import CHANGES, changed


def test_topics_are_made_once(kafka: Settings) -> None:
    """Created topics pass the check, and a second call makes nothing."""
    assert topics.check(kafka) == []
    assert topics.create(kafka) == []


def alter(settings: Settings, kind: str, **config: str) -> None:
    admin = clients.admin(settings)
    names = {name.replace("_", "."): value for name, value in config.items()}
    admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, settings.topic(kind), configs=names)]
    )
    admin.close()


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        (schemas.DEAD_LETTERS, {"max_message_bytes": "1000000"}, "could not be kept"),
        (schemas.RAW, {"max_message_bytes": "90000000"}, "more than Khabar can pass on"),
        (schemas.ARTICLES, {"max_message_bytes": "1000000"}, "records may be larger"),
        (schemas.INDEX, {"cleanup_policy": "compact"}, "must be delete"),
        (schemas.INDEX, {"retention_ms": "3600000"}, "a restart would forget stories"),
    ],
)
def test_a_topic_that_could_lose_something_is_refused(
    kafka: Settings, kind: str, config: dict[str, str], said: str
) -> None:
    """`run` refuses topics whose limits or retention could lose a message or a story."""
    alter(kafka, kind, **config)
    with pytest.raises(UsageError, match=said):
        topics.require(kafka)


def test_an_index_of_two_partitions_is_refused(services) -> None:
    """The index must have one order, so one partition."""
    settings = Settings.of({"topic_prefix": "two", "group": "two", **vars(services.addresses)})
    admin = clients.admin(settings)
    admin.create_topics([NewTopic("two.index", 2, 1)])
    admin.close()
    topics.create(settings)
    with pytest.raises(UsageError, match="must have one"):
        topics.require(settings)


def test_missing_topics_are_named_with_the_command(kafka: Settings) -> None:
    """A run without topics says which are missing and what to type."""
    other = Settings.of(vars(kafka) | {"topic_prefix": "missing"})
    with pytest.raises(UsageError, match=r"missing\.raw does not exist: `khabar topics`"):
        topics.require(other)


def test_schemas_are_registered_backward_and_once(kafka: Settings) -> None:
    """Every subject is BACKWARD, and registering again gives the same ids."""
    registry = Registry(kafka.registry_url)
    first = register(kafka)
    assert register(kafka) == first
    assert list(schema_ids(kafka).values()) == list(first.values())
    for kind in REGISTERED:
        config = registry._call("GET", f"/config/{subject(kafka, kind)}")
        assert config["compatibilityLevel"] == "BACKWARD"
    assert all(line.endswith(": registered") for line in check_schemas(kafka))


def test_an_incompatible_schema_is_refused(kafka: Settings) -> None:
    """`khabar schemas check` and registering refuse a schema that cannot read what is there, with
    exit code 2 and the subject's name."""
    other = Settings.of(vars(kafka) | {"topic_prefix": "older"})
    theirs = json.loads(schemas.text(schemas.DUPLICATES))
    theirs["fields"] = [f for f in theirs["fields"] if f["name"] != "rule"]
    Registry(kafka.registry_url).register("older.duplicates-value", json.dumps(theirs))
    with pytest.raises(UsageError, match=r"older\.duplicates-value"):
        register(other)
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "schemas", "check"],
        cwd=REPOSITORY,
        env=environment(other),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 2
    assert "older.duplicates-value" in done.stderr


def test_a_compatible_schema_passes_the_check(kafka: Settings) -> None:
    """A subject that lacks one of our fields with a default can be followed."""
    other = Settings.of(vars(kafka) | {"topic_prefix": "elder"})
    theirs = json.loads(schemas.text(schemas.INDEX))
    theirs["fields"] = [f for f in theirs["fields"] if f["name"] != "novelty"]
    Registry(kafka.registry_url).register("elder.index-value", json.dumps(theirs))
    assert "elder.index-value: a compatible change" in check_schemas(other)


@pytest.mark.parametrize("name", CHANGES)
def test_the_registry_refuses_what_new_readers_could_not_read(services, name: str) -> None:
    """Of the changes that our rules refuse, a real registry refuses those that break BACKWARD, and
    none that the rules allow; the others break old readers, and only tests/test_evolution.py sees
    them."""
    registry = Registry(services.addresses.registry_url)
    subject_name = "changes.articles-value"
    registry.register(subject_name, schemas.text(schemas.ARTICLES))
    found = registry.incompatibilities(subject_name, json.dumps(changed(name)))
    assert bool(found) == CHANGES[name].registry, found


@pytest.mark.parametrize("version", evolution.versions())
def test_the_registry_takes_the_newest_after_every_released_version(services, version: str) -> None:
    """Where a released version is registered, this one passes the check and registers."""
    settings = Settings.of({"topic_prefix": f"after-{version}", **vars(services.addresses)})
    registry = Registry(services.addresses.registry_url)
    for kind in REGISTERED:
        old = json.dumps(evolution.schema(version, kind))
        registry.register(subject(settings, kind), old)
    said = (": registered", ": a compatible change")
    assert all(line.endswith(said) for line in check_schemas(settings))
    assert len(register(settings)) == len(REGISTERED)
