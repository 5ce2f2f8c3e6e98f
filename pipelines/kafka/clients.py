"""Kafka clients with the user's settings: from a file, from the environment, never shown."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    AuthorizationError,
    CorruptRecordError,
    KafkaConfigurationError,
    KafkaError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.partitioner.default import DefaultPartitioner, murmur2

from pipelines.errors import Outage, UsageError
from pipelines.settings import Settings

ENVIRONMENT_PREFIX = "KHABAR_KAFKA_"
# Bytes of the largest message with its batch: what the topics take, and room for the headers.
MAX_MESSAGE_BYTES = 17 * 1024 * 1024

# Seconds that Kafka may take to answer before the job gives up: more than a leader election, less
# than the patience of whoever watches.
ANSWER_S = 20.0
ANSWER_MS = int(ANSWER_S * 1000)
# Milliseconds after which new partitions are seen.
METADATA_MS = 60_000

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
# What Kubernetes sets of itself in every pod beside a service that is named `khabar-kafka`.
_SERVICE_LINKS = ("PORT", "SERVICE_")

# What the guarantees and their time limits rest on cannot be set from outside.
_OURS = frozenset(
    [
        "bootstrap_servers",
        "group_id",
        "transactional_id",
        "isolation_level",
        "enable_auto_commit",
        "acks",
        "enable_idempotence",
        "auto_offset_reset",
        "key_serializer",
        "value_serializer",
        "key_deserializer",
        "value_deserializer",
        "linger_ms",
        "batch_size",
        "max_request_size",
        "max_partition_fetch_bytes",
        "max_block_ms",
        "delivery_timeout_ms",
        "request_timeout_ms",
        "transaction_timeout_ms",
    ]
)


def client_settings(settings: Settings) -> dict[str, Any]:
    """Client settings by kafka-python's names, the environment over the file.

    Raises UsageError for a name that no client has or that Khabar sets itself.
    """
    given: dict[str, str] = {}
    if settings.kafka_config:
        given.update(_read_file(Path(settings.kafka_config)))
    for variable, value in os.environ.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if name != variable and name != "CONFIG" and not name.startswith(_SERVICE_LINKS):
            given[name.lower()] = value
    return {name: _typed(name, value) for name, value in given.items()}


def consumer(settings: Settings, **ours: Any) -> Any:
    """A consumer that sees committed records only and commits nothing by itself."""
    return KafkaConsumer(
        **_known(
            KafkaConsumer,
            {
                "bootstrap_servers": settings.bootstrap_servers.split(","),
                "client_id": "khabar",
                "isolation_level": "read_committed",
                "enable_auto_commit": False,
                "auto_offset_reset": "none",
                "allow_auto_create_topics": False,
                "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
                "metrics_enabled": False,
                "reconnect_backoff_max_ms": 1000,
                **client_settings(settings),
                **ours,
            },
        )
    )


def producer(settings: Settings, **ours: Any) -> Any:
    """An idempotent producer that waits for all replicas."""
    return KafkaProducer(
        **_known(
            KafkaProducer,
            {
                "bootstrap_servers": settings.bootstrap_servers.split(","),
                "client_id": "khabar",
                "acks": "all",
                "max_request_size": MAX_MESSAGE_BYTES,
                # With these two, 5 KB records cost a third less than by the defaults.
                "linger_ms": 20,
                "batch_size": 262_144,
                "allow_auto_create_topics": False,
                "metrics_enabled": False,
                "reconnect_backoff_max_ms": 1000,
                "partitioner": Partitioner(),
                **client_settings(settings),
                **ours,
            },
        )
    )


class Partitioner(DefaultPartitioner):
    """What all Kafka clients choose by default. The library finds a key's hash in Python, in a
    quarter of the time of a whole send; the keys of entities come again and again.
    """

    def partition(
        self,
        topic: str,
        key: bytes | None,
        serialized_key: bytes | None,
        value: bytes | None,
        serialized_value: bytes | None,
        cluster: Any,
    ) -> int:
        partitions = cluster.partitions_for_topic(topic)
        if serialized_key is None or not partitions:
            return int(
                super().partition(topic, key, serialized_key, value, serialized_value, cluster)
            )
        ordered: list[int] = sorted(partitions)
        return ordered[_hash(serialized_key) % len(ordered)]


@lru_cache(maxsize=1 << 14)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def admin(settings: Settings, **ours: Any) -> Any:
    """An admin client."""
    return KafkaAdminClient(
        **_known(
            KafkaAdminClient,
            {
                "bootstrap_servers": settings.bootstrap_servers.split(","),
                "client_id": "khabar",
                **client_settings(settings),
                **ours,
            },
        )
    )


def failure(settings: Settings, error: KafkaError) -> Exception:
    """What the operator can act on, for whatever Kafka's client has raised."""
    at, name = f"Kafka at {settings.bootstrap_servers}", type(error).__name__
    if isinstance(
        error, AuthorizationError | SaslAuthenticationFailedError | UnsupportedSaslMechanismError
    ):
        return UsageError(
            f"{at} refuses us ({name}). Check user, password and rights in --kafka-config or "
            "KHABAR_KAFKA_…"
        )
    if isinstance(error, KafkaConfigurationError):
        return UsageError(f"Kafka's client refuses its settings: {error}.")
    if isinstance(error, CorruptRecordError):
        return UsageError(
            f"Kafka's client cannot read a record ({error}), such as one whose header's name is "
            "not UTF-8. Move the group past it with Kafka's own kafka-consumer-groups tool."
        )
    if isinstance(error, OffsetOutOfRangeError):
        return Outage(
            f"{at} no longer holds the offsets that were to be read next ({error}). The next start "
            "says how many have expired."
        )
    if not error.retriable:
        return Outage(
            f"{at} answers with an error ({name}: {error}). Nothing is lost: the next start goes "
            "on at the last commit. When it comes again, Kafka's own log says more."
        )
    secured = "security_protocol" in client_settings(settings)
    return Outage(
        f"{at} does not answer ({name}: {error}). Nothing is lost: the next start goes on at the "
        "last commit. Start it (`khabar up` runs one on this machine), or give its address with "
        "--bootstrap-servers."
        # kafka-python mostly tells neither apart from a connection that was cut.
        + (" Are security_protocol, user and password what it asks for?" if secured else "")
    )


def _known(client: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that this kind of client has: one file serves all three."""
    return {name: value for name, value in wanted.items() if name in client.DEFAULT_CONFIG}


def _read_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(
            f"The Kafka settings file {path} cannot be read: {error.strerror}. "
            "Give an existing file with --kafka-config."
        ) from None
    given = {}
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.partition("=")
        if not sign:
            # The line itself may be half of a password: it is not shown.
            raise UsageError(f"Line {number} of {path} is not name=value.")
        given[name.strip().replace(".", "_").replace("-", "_").lower()] = value.strip()
    return given


_DEFAULTS: dict[str, Any] = {
    **KafkaAdminClient.DEFAULT_CONFIG,
    **KafkaProducer.DEFAULT_CONFIG,
    **KafkaConsumer.DEFAULT_CONFIG,
}


def _typed(name: str, value: str) -> Any:
    """`value` in the type that the client's own default has."""
    if name in _OURS:
        raise UsageError(
            f"The Kafka client setting {name} is Khabar's own: its guarantees rest on it. "
            "Take it out of the settings file or the environment."
        )
    if name not in _DEFAULTS:
        near = difflib.get_close_matches(name, _DEFAULTS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"No Kafka client has a setting named {name}.{hint}")
    default = _DEFAULTS[name]
    if name == "security_protocol" and value not in _PROTOCOLS:
        # kafka-python takes any other word for PLAINTEXT.
        raise UsageError(f"security_protocol takes one of {', '.join(_PROTOCOLS)}.")
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        if isinstance(default, int):
            return int(value)
        if isinstance(default, float):
            return float(value)
    except (KeyError, ValueError):
        raise UsageError(
            f"The Kafka client setting {name} takes a {type(default).__name__}, "
            "and was given something else."
        ) from None
    return value
