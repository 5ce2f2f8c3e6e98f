"""Kafka clients with the user's settings: from a file, from the environment, never shown."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient

from pipelines.errors import UsageError
from pipelines.settings import Settings

ENVIRONMENT_PREFIX = "KHABAR_KAFKA_"
# Bytes of the largest message with its batch: what the topics take, and room for the headers.
MAX_MESSAGE_BYTES = 17 * 1024 * 1024

# What the guarantees rest on cannot be set from outside.
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
        if variable.startswith(ENVIRONMENT_PREFIX) and variable != ENVIRONMENT_PREFIX + "CONFIG":
            given[variable.removeprefix(ENVIRONMENT_PREFIX).lower()] = value
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
                **client_settings(settings),
                **ours,
            },
        )
    )


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


def unreachable(settings: Settings, error: Exception) -> str:
    """The paragraph for a Kafka that does not answer."""
    return (
        f"Kafka at {settings.bootstrap_servers} does not answer ({type(error).__name__}). "
        "Start it (`khabar up` runs one on this machine), or give its address with "
        "--bootstrap-servers."
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
