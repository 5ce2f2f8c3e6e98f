"""`khabar index rebuild`, and what happens to state that cannot be used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.kafka.rebuild import rebuild
from pipelines.kafka.transaction import Job
from pipelines.run import Lookup, schema_ids
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import REPOSITORY, caught_up, environment, expected, found, read, send


def index_content(job: Job) -> list[object]:
    """What the restored index answers for every article it knows."""
    names = {e["state"][:16].hex() for e in job._log.entries(0) if e["kind"] == "decision"}
    decisions = {name: job.index.known(name) for name in names}
    return [len(job.index), job.index.last_sequence, job.index.clock, decisions]


def opened(settings: Settings) -> Job:
    job = Job(settings, schema_ids(settings), warn=lambda line: None)
    job.open()
    return job


@pytest.mark.parametrize("partitions", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_rebuilt_index_answers_like_the_one_it_replaces(new_job, partitions: int) -> None:
    """After a rebuild the index knows the same articles and decisions, and the next articles are
    decided as if nothing had happened."""
    settings = new_job(partitions)
    send(articles(300, seed=31), settings)
    caught_up(settings)
    before = opened(settings)
    wanted = index_content(before)
    before.close()
    counts = rebuild(settings, schema_ids(settings), Lookup(settings.registry_url))
    dead = len(read(settings, schemas.DEAD_LETTERS))
    assert counts == {"rebuilt": 300 - dead, "lost": 0, "refused": 0}
    after = opened(settings)
    assert index_content(after) == wanted
    assert after.generation == before.generation + 2
    after.close()
    if partitions == 1:
        send(articles(400, seed=31), settings)
        caught_up(settings)
        assert found(settings) == expected(settings)


def test_state_of_another_version_is_refused(kafka: Settings, monkeypatch) -> None:
    """An index written by another version is not compared with: the run names the command that
    makes it anew, and after that command it runs."""
    send(articles(20, seed=32), kafka)
    caught_up(kafka)
    monkeypatch.setattr("pipelines.kafka.index_log.STATE_VERSION", "another")
    with pytest.raises(UsageError, match="khabar index rebuild"):
        opened(kafka)
    monkeypatch.undo()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "index", "rebuild"],
        cwd=REPOSITORY,
        env=environment(kafka),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "lost 0" in done.stderr
    opened(kafka).close()


def test_a_rebuild_fences_the_running_writer(kafka: Settings) -> None:
    """A job that was open when the index was made anew cannot commit to it any more."""
    send(articles(20, seed=33), kafka)
    job = opened(kafka)
    rebuild(kafka, schema_ids(kafka), Lookup(kafka.registry_url))
    assert job.next_batch() is not None
    with pytest.raises(Exception, match="has taken over"):
        job.commit()
    job.close()
