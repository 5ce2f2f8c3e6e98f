"""What the tests share: a real Kafka and registry for the whole run, and the development data."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from pipelines.kafka import topics
from pipelines.local import Services
from pipelines.run import register
from pipelines.settings import Settings
from pipelines.stages import compiled

# How fast a machine is must not decide whether a property holds.
hypothesis.settings.register_profile("khabar", deadline=None, print_blob=True)
hypothesis.settings.load_profile("khabar")


def _drop_stale_loops() -> None:
    """Removes machine code that is older than a module with loops: numba looks only whether the
    file of a loop itself has changed, and not those whose loops it calls.
    """
    stages = Path(compiled.__file__).parent
    sources = [path for path in stages.glob("*.py") if "stages.compiled" in path.read_text("utf-8")]
    newest = max(path.stat().st_mtime for path in sources)
    for kept in stages.glob("__pycache__/*.nb[ic]"):
        if kept.stat().st_mtime < newest:
            kept.unlink(missing_ok=True)


_drop_stale_loops()

_numbers = itertools.count(1)

NewJob = Callable[..., Settings]


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    """Kafka and registry, started by the first test that needs them. Never kill these."""
    # The first start downloads 150 MB: let its progress be seen.
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        running = Services(report=print)
        running.start()
    yield running
    running.stop()


@pytest.fixture
def new_job(services: Services) -> NewJob:
    """`new_job(partitions=1, **settings)`: settings of a job with topics and a group of its own.

    The topics exist and the schemas are registered.
    """

    def new(partitions: int = 1, **values: object) -> Settings:
        return _job(services, partitions, **values)

    return new


@pytest.fixture
def kafka(new_job: NewJob) -> Settings:
    """The settings of a job with empty topics of one partition, disturbed by no other test."""
    return new_job()


@dataclass(frozen=True)
class Own:
    """A Kafka and registry that a test may kill, and a job on them."""

    services: Services
    settings: Settings


@pytest.fixture
def own_kafka() -> Iterator[Own]:
    """For a test that kills or restarts Kafka or the registry: both are its own."""
    with Services() as running:
        yield Own(running, _job(running))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development data, which is no part of the repository: see `KHABAR_SHARED`."""
    folder = Path(os.environ.get("KHABAR_SHARED") or Path(__file__).parents[2] / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}; KHABAR_SHARED names the folder above it")
    return folder


def _job(running: Services, partitions: int = 1, **values: object) -> Settings:
    number = next(_numbers)
    names = {"topic_prefix": f"test{number}", "group": f"test{number}"}
    settings = Settings.of({**names, **vars(running.addresses), **values})
    topics.create(settings, partitions)
    register(settings)
    return settings
