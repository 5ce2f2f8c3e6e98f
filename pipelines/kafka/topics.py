"""The topics: how they are made, and what `run` insists on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.kafka import clients
from pipelines.settings import Settings
from pipelines.stages import encode

_DAY_MS = 24 * 3600 * 1000
# The dead letters' own headers come on top of the message.
_DEAD_LETTER_ROOM = 256 * 1024

# Also the order in which they are shown.
KINDS = (
    schemas.RAW,
    schemas.ARTICLES,
    schemas.DUPLICATES,
    schemas.ENTITIES,
    schemas.INDEX,
    schemas.DEAD_LETTERS,
)
OUTPUTS = KINDS[1:]


@dataclass(frozen=True)
class Topic:
    """A topic as Khabar makes it."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def wanted(settings: Settings, partitions: int = 1) -> list[Topic]:
    """The topics of these settings; `partitions` is for those that readers share out."""
    large = {"max.message.bytes": str(encode.MAX_BYTES)}
    topics = []
    for kind in KINDS:
        config = dict(large)
        count = partitions
        if kind == schemas.DEAD_LETTERS:
            config["max.message.bytes"] = str(encode.MAX_BYTES + _DEAD_LETTER_ROOM)
        if kind == schemas.RAW:
            # The window is bounded by the broker's clock, not by a producer's.
            config["message.timestamp.type"] = "LogAppendTime"
        if kind == schemas.INDEX:
            # One order, nothing compacted away, and times that no producer can set.
            count = 1
            config |= {
                "cleanup.policy": "delete",
                "message.timestamp.type": "LogAppendTime",
                "retention.ms": str(settings.window_ms + 2 * _DAY_MS),
            }
        topics.append(Topic(settings.topic(kind), count, config))
    return topics


def create(settings: Settings, partitions: int = 1, replicas: int = -1) -> list[str]:
    """Makes the topics that are missing and returns their names; `replicas` -1 is the broker's own.

    Raises Outage when Kafka does not answer.
    """
    with _admin(settings) as admin:
        try:
            existing = _names(admin)
            missing = [t for t in wanted(settings, partitions) if t.name not in existing]
            made = []
            for topic in missing:
                new = NewTopic(topic.name, topic.partitions, replicas, topic_configs=topic.config)
                try:
                    admin.create_topics([new], timeout_ms=30_000)
                except TopicAlreadyExistsError:
                    continue  # another start was quicker
                made.append(topic.name)
            if made:
                admin.wait_for_topics(made)
            return made
        except KafkaError as error:
            raise clients.failure(settings, error) from None


def check(settings: Settings) -> list[str]:
    """What is wrong with the topics, a sentence each; empty when all is well.

    Raises Outage when Kafka does not answer.
    """
    with _admin(settings) as admin:
        try:
            existing = _names(admin)
            missing = [settings.topic(k) for k in KINDS if settings.topic(k) not in existing]
            if missing:
                return [f"{name} does not exist: `khabar topics` makes it." for name in missing]
            configs = _configs(admin, [settings.topic(k) for k in KINDS])
            index = admin.describe_topics([settings.topic(schemas.INDEX)])[0]
        except KafkaError as error:
            raise clients.failure(settings, error) from None
    problems = []
    raw, dead = settings.topic(schemas.RAW), settings.topic(schemas.DEAD_LETTERS)
    raw_bytes = int(configs[raw]["max.message.bytes"])
    dead_bytes = int(configs[dead]["max.message.bytes"])
    if dead_bytes < raw_bytes + _DEAD_LETTER_ROOM:
        problems.append(
            f"{dead} takes messages of {dead_bytes} bytes and {raw} of {raw_bytes}: a bad message "
            f"could not be kept. Set max.message.bytes of {dead} to "
            f"{raw_bytes + _DEAD_LETTER_ROOM} or more."
        )
    if raw_bytes > clients.MAX_MESSAGE_BYTES - _DEAD_LETTER_ROOM:
        problems.append(
            f"{raw} takes messages of {raw_bytes} bytes, more than Khabar can pass on "
            f"({clients.MAX_MESSAGE_BYTES - _DEAD_LETTER_ROOM}). Lower its max.message.bytes."
        )
    for kind in (schemas.ARTICLES, schemas.DUPLICATES, schemas.ENTITIES, schemas.INDEX):
        name = settings.topic(kind)
        if int(configs[name]["max.message.bytes"]) < encode.MAX_BYTES:
            problems.append(
                f"{name} takes messages of {configs[name]['max.message.bytes']} bytes; records may "
                f"be larger. Set its max.message.bytes to {encode.MAX_BYTES}."
            )
    name = settings.topic(schemas.INDEX)
    if configs[name]["cleanup.policy"] != "delete":
        problems.append(f"{name} is compacted; its cleanup.policy must be delete.")
    retention = int(configs[name]["retention.ms"])
    if 0 <= retention < settings.window_ms:
        problems.append(
            f"{name} keeps {retention // 3_600_000} hours, less than the window of "
            f"{settings.window_days} days: a restart would forget stories. "
            f"Set its retention.ms to {settings.window_ms + 2 * _DAY_MS}."
        )
    if len(index["partitions"]) != 1:
        problems.append(f"{name} has {len(index['partitions'])} partitions; it must have one.")
    return problems


def require(settings: Settings) -> None:
    """Raises UsageError when `check` finds something."""
    problems = check(settings)
    if problems:
        raise UsageError("The topics are not as they must be. " + " ".join(problems))


def _admin(settings: Settings) -> Any:
    try:
        return clients.admin(settings, bootstrap_timeout_ms=5000)
    except KafkaError as error:
        raise clients.failure(settings, error) from None


def _names(admin: Any) -> set[str]:
    return set(admin.list_topics())


def _configs(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    """The settings in force of each topic, as Kafka writes them."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    described = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: {key: entry["value"] for key, entry in entries.items()}
        for name, entries in described.items()
    }
