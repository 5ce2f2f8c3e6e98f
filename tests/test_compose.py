"""docker-compose.yml and the Dockerfile fit the code, as far as can be told without Docker."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pipelines.cli import cli
from pipelines.local.kafka import MAX_MESSAGE_BYTES
from pipelines.local.registry import API
from pipelines.settings import SETTINGS, Settings

ROOT = Path(__file__).parent.parent
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "khabar"]


def commands(service: dict[str, Any]) -> list[list[str]]:
    """What `khabar` is called with, once or several times."""
    if "entrypoint" not in service:
        return [service["command"]]
    parts = service["entrypoint"][-1].split("&&")
    return [shlex.split(part)[1:] for part in parts]


def test_services():
    """Kafka, registry, a one-shot service for topics and schemas, the pipeline, and its company."""
    assert set(SERVICES) == {"kafka", "registry", "setup", "khabar", "producer", "tail"}
    assert SERVICES["kafka"]["image"] == "apache/kafka:4.1.1"
    assert SERVICES["registry"]["image"] == "apicurio/apicurio-registry:3.0.9"
    assert set(OURS) == {"setup", "khabar", "producer", "tail"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_bounded(name):
    """Each service has a memory limit, restarts on failure only, and listens on loopback only."""
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"] == "on-failure"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name):
    """Each command line is one that `khabar` takes."""
    for arguments in commands(SERVICES[name]):
        command = cli.commands[arguments[0]]
        context = command.make_context(arguments[0], list(arguments[1:]))
        assert isinstance(context, click.Context)


def test_order():
    """Nothing begins before what it needs is healthy, and topics and schemas are there."""
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], name
    for name in ("khabar", "producer", "tail"):
        needs = SERVICES[name]["depends_on"]
        assert needs == {"setup": {"condition": "service_completed_successfully"}}


def test_addresses():
    """Inside, the services are found by their names; outside, at the defaults of the settings."""
    inside = SERVICES["khabar"]["environment"]
    assert set(inside) <= {setting.variable for setting in SETTINGS}
    kafka = SERVICES["kafka"]["environment"]
    assert f"INSIDE://{inside['KHABAR_BOOTSTRAP_SERVERS']}" in kafka["KAFKA_ADVERTISED_LISTENERS"]
    assert inside["KHABAR_REGISTRY_URL"] == f"http://registry:8080{API}"
    defaults = Settings.of({})
    assert SERVICES["kafka"]["ports"] == [f"{defaults.bootstrap_servers}:9092"]
    assert f"OUTSIDE://{defaults.bootstrap_servers}" in kafka["KAFKA_ADVERTISED_LISTENERS"]
    (port,) = SERVICES["registry"]["ports"]
    assert defaults.registry_url == f"http://{port.removesuffix(':8080')}{API}"


def test_kafka_takes_what_the_embedded_one_takes():
    """Messages as large as in the tests, no topics by accident, data in the named volume."""
    kafka = SERVICES["kafka"]
    assert kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"] == str(MAX_MESSAGE_BYTES)
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    (volume,) = kafka["volumes"]
    name, _, folder = volume.partition(":")
    assert name in FILE["volumes"]
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == folder


def test_image_has_what_it_copies():
    """What the Dockerfile copies exists and is not ignored; the image runs `khabar`, no root."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("COPY"):
            for name in line.split()[1:-1]:
                assert f"!{name}" in ignored
                assert name == "README.md" or (ROOT / name).exists()
    assert "USER khabar" in lines
    (entry,) = [line for line in lines if line.startswith("ENTRYPOINT")]
    assert json.loads(entry.removeprefix("ENTRYPOINT")) == ["khabar"]
