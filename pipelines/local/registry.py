"""The Apicurio schema registry, with its schemas in a file and BACKWARD as its rule."""

import http.client
import json
from pathlib import Path
from typing import Any

from pipelines.local.processes import HOST, java

HEAP_MB = 128
TIMEOUT_SECONDS = 10.0
API = "/apis/ccompat/v7"
COMPATIBILITY = "BACKWARD"
RUNNER = "apicurio-registry-app-3.0.9-runner.jar"


def command(program: Path, port: int) -> list[str]:
    """The command line; its working folder will hold the database, `registry.mv.db`."""
    return [
        *java(HEAP_MB),
        f"-Dquarkus.http.host={HOST}",
        f"-Dquarkus.http.port={port}",
        "-Dquarkus.http.access-log.enabled=false",
        "-Dquarkus.banner.enabled=false",
        '-Dquarkus.log.category."io.apicurio".level=WARN',
        "-Dapicurio.storage.kind=sql",
        "-Dapicurio.storage.sql.kind=h2",
        # By default H2 writes 0.5 s after the commit: a kill would then lose an id in use.
        "-Dapicurio.datasource.url=jdbc:h2:file:./registry;WRITE_DELAY=0",
        "-jar",
        str(program / RUNNER),
    ]


def url(port: int) -> str:
    """The address that Confluent's clients take."""
    return f"http://{HOST}:{port}{API}"


def ready(port: int) -> bool:
    """Whether it lists its subjects and its global rule is BACKWARD, which this sets."""
    try:
        if not isinstance(_call(port, "GET", "/subjects"), list):
            return False
        # Its own default is NONE.
        _call(port, "PUT", "/config", {"compatibility": COMPATIBILITY})
        rule = _call(port, "GET", "/config")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return bool(rule == {"compatibilityLevel": COMPATIBILITY})


def _call(port: int, method: str, path: str, body: object = None) -> Any:
    # Not urllib or requests: both would ask the proxy that http_proxy names.
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, API + path, content, {"Content-Type": "application/json"})
        return json.load(connection.getresponse())
    finally:
        connection.close()
