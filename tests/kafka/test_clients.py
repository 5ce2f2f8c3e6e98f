"""Kafka client settings: passed through, typed, refused by name, never shown."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import DefaultPartitioner

from pipelines.errors import UsageError
from pipelines.kafka.clients import Partitioner, client_settings
from pipelines.settings import Settings

SECRET = "s3cret-pass"


def with_file(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "client.properties"
    path.write_text(text, encoding="utf-8")
    return Settings.of({"kafka_config": str(path)})


def test_a_file_in_javas_or_pythons_spelling(tmp_path: Path) -> None:
    """Names may be written with dots or underscores; values get the type of the default."""
    settings = with_file(
        tmp_path,
        f"# TLS\nsecurity.protocol=SASL_SSL\nsasl_plain_password = {SECRET}=x\n"
        "retry.backoff.ms=450\nssl.check.hostname=false\n",
    )
    assert client_settings(settings) == {
        "security_protocol": "SASL_SSL",
        "sasl_plain_password": f"{SECRET}=x",
        "retry_backoff_ms": 450,
        "ssl_check_hostname": False,
    }


def test_the_environment_goes_over_the_file(tmp_path: Path, monkeypatch) -> None:
    """`KHABAR_KAFKA_NAME` replaces what the file says; `KHABAR_KAFKA_CONFIG` is the file's name."""
    settings = with_file(tmp_path, "sasl_plain_username=file\n")
    monkeypatch.setenv("KHABAR_KAFKA_SASL_PLAIN_USERNAME", "environment")
    monkeypatch.setenv("KHABAR_KAFKA_CONFIG", "elsewhere")
    assert client_settings(settings) == {"sasl_plain_username": "environment"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"sasl_plain_pasword={SECRET}", "Did you mean sasl_plain_password"),
        (f"retry_backoff_ms={SECRET}", "takes a int"),
        (f"isolation_level={SECRET}", "Khabar's own"),
        (f"{SECRET}", "Line 1"),
        (f"security_protocol={SECRET}", "SASL_SSL"),
    ],
)
def test_a_wrong_line_is_named_without_its_value(tmp_path: Path, line: str, said: str) -> None:
    """What is wrong with a setting is said by name or line; the value, which may be a password, is
    not shown."""
    with pytest.raises(UsageError, match=said) as error:
        client_settings(with_file(tmp_path, line))
    assert SECRET not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A settings file that does not exist is named with the option that gives it."""
    settings = Settings.of({"kafka_config": str(tmp_path / "none")})
    with pytest.raises(UsageError, match="--kafka-config"):
        client_settings(settings)


@given(st.none() | st.binary(max_size=60), st.sets(st.integers(0, 30), min_size=1))
def test_a_key_goes_to_the_partition_that_kafkas_clients_choose(key, partitions) -> None:
    """Remembered or not, a key's partition is the library's choice; without a key it is any."""
    cluster = Mock(**{"partitions_for_topic.return_value": partitions})
    cluster.topics.return_value = {"t"}
    cluster.available_partitions_for_topic.return_value = partitions
    asked = ("t", key, key, b"value", b"value", cluster)
    chosen = [Partitioner().partition(*asked) for _ in range(2)]
    if key is None:
        assert partitions.issuperset(chosen)
    else:
        assert chosen == [DefaultPartitioner().partition(*asked)] * 2
