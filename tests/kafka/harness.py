"""What the tests of delivery share: a real `khabar run` as a process, and a reader that compares
all output topics with what the pure stages decide.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import psutil

from pipelines import schemas
from pipelines.kafka.tail import Tailed, tail
from pipelines.local import Flink
from pipelines.producers.produce import produce
from pipelines.records import Origin, RawMessage, StageError
from pipelines.settings import Settings
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import decode
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize

REPOSITORY = Path(__file__).parents[2]


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with the settings as `KHABAR_…`."""
    return dict(os.environ) | {
        f"KHABAR_{field.name.upper()}": str(getattr(settings, field.name))
        for field in fields(settings)
        if getattr(settings, field.name) != ""
    }


@contextmanager
def khabar(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`khabar run` with these settings, as a process of its own; killed at the end if it lives."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "run", *arguments],
        cwd=REPOSITORY,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def command(
    settings: Settings, *arguments: str, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """A `khabar` command that ends by itself, with these settings."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *arguments],
        cwd=REPOSITORY,
        env=environment(settings),
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
    )


def workers(flink: Flink) -> list[psutil.Process]:
    """The processes on Flink that run the stages."""
    (watched,) = psutil.Process(flink.pool_pid).children()
    return [worker for child in watched.children() for worker in child.children()]


class Supervisor:
    """Starts `khabar run` again when it fails, a second later and with the same settings: what
    systemd does by Restart=on-failure and RestartPreventExitStatus=2.
    """

    def __init__(self, settings: Settings) -> None:
        self.exits: list[int] = []
        self.said: list[str] = []
        self._settings = settings
        self._ended = threading.Event()
        self._running: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._supervise)

    def __enter__(self) -> Supervisor:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._running is not None:
            self._running.kill()
        self._thread.join()

    def _supervise(self) -> None:
        while not self._ended.is_set():
            with khabar(self._settings) as self._running:
                assert self._running.stderr is not None
                self.said.extend(self._running.stderr)
            if self._ended.is_set():
                return
            self.exits.append(self._running.returncode)
            if self._running.returncode in (0, 2):
                return
            self._ended.wait(1.0)


def asked(settings: Settings, path: str) -> tuple[int, str]:
    """What the run answers at this path of its metrics port; 0 when nobody listens there."""
    try:
        with urllib.request.urlopen(
            f"http://{settings.metrics_host}:{settings.metrics_port}{path}", timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def wait_until_reading(process: subprocess.Popen[str]) -> None:
    """Returns when the run says that it has begun to read."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("reading "):
            return
    raise AssertionError("the run ended before it read")


def caught_up(settings: Settings, timeout_s: float = 300) -> str:
    """Runs until caught up; returns what the run said, which must have ended with 0."""
    with khabar(settings, "--until-caught-up") as process:
        _, said = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, said
        return said


def send(values: Iterable[bytes | None], settings: Settings) -> int:
    return produce(((None, value) for value in values), settings)


def read(settings: Settings, kind: str) -> list[Tailed]:
    """A topic as a `read_committed` reader sees it."""
    return list(tail(settings, [settings.topic(kind)], until_caught_up=True))


Place = tuple[int, int]


def expected(
    settings: Settings, order: Callable[[Place], int] | None = None
) -> dict[Place, tuple[Any, ...]]:
    """What the pure stages decide of the raw topic, in one uninterrupted go, by its place.

    `order` sorts the places where several partitions leave it open.
    """
    index = Index(window_ms=settings.window_ms)
    decided: dict[Place, tuple[Any, ...]] = {}
    messages = read(settings, schemas.RAW)
    if order is not None:
        messages.sort(key=lambda message: order((message.partition, message.offset)))
    for message in messages:
        origin = Origin(message.topic, message.partition, message.offset, message.timestamp)
        raw = RawMessage(origin, message.key, message.value, tuple(message.headers))
        place = (message.partition, message.offset)
        try:
            article = decode(raw, lambda _: None)
        except StageError as error:
            decided[place] = ("dead-letter", error.reason)
            continue
        if article.removal is None:
            article = fingerprint(normalize(clean(article)))
        decision = decide(article, origin, index).decision
        decided[place] = (
            decision.verdict,
            article.article_id,
            decision.revision,
            decision.story_id,
            decision.sequence,
            decision.matched,
        )
    return decided


def found(settings: Settings) -> dict[Place, tuple[Any, ...]]:
    """What stands on the output topics, by the place of its message; asserts none stands twice."""
    places: Counter[Place] = Counter()
    decided: dict[Place, tuple[Any, ...]] = {}
    for kind in (schemas.ARTICLES, schemas.DUPLICATES):
        for message in read(settings, kind):
            record = message.record
            assert record is not None
            place = (record["origin"]["partition"], record["origin"]["offset"])
            places[place] += 1
            decided[place] = (
                record["verdict"],
                record["article_id"],
                record["revision"],
                record["story_id"],
                record["sequence"],
                record["matched"] or "",
            )
    for message in read(settings, schemas.DEAD_LETTERS):
        headers = dict(message.headers)
        place = (int(headers["khabar-partition"]), int(headers["khabar-offset"]))
        places[place] += 1
        decided[place] = ("dead-letter", headers["khabar-reason"].decode())
    twice = [place for place, count in places.items() if count > 1]
    assert not twice, f"{len(twice)} messages were published twice, {twice[:5]}"
    return decided


def _sequence(decided: tuple[Any, ...]) -> int:
    """Where it was decided in the order of all; what was not stands anywhere."""
    return int(decided[4]) if len(decided) > 2 else 0


def check_all_topics(settings: Settings) -> None:
    """Nothing is missing, nothing stands twice, the verdicts are those of an uninterrupted run, of
    several partitions in the order of `sequence`; entities and index entries are those of the
    articles that were published and decided.
    """
    there = found(settings)
    wanted = expected(settings, lambda place: _sequence(there.get(place, ())))
    assert there.keys() == wanted.keys(), (
        f"{len(wanted.keys() - there.keys())} missing, {len(there.keys() - wanted.keys())} too many"
    )
    different = [place for place in wanted if wanted[place] != there[place]]
    assert not different, [(p, wanted[p], there[p]) for p in different[:3]]
    for partition in {place[0] for place in there}:
        order = [_sequence(there[place]) for place in sorted(there) if place[0] == partition]
        order = [each for each in order if each]
        assert order == sorted(order), f"partition {partition} was decided out of its order"

    entities = Counter(
        (m.record["article_id"], m.record["revision"], m.record["entity_id"])
        for m in read(settings, schemas.ENTITIES)
        if m.record and not m.record["removed"]
    )
    inline = Counter(
        (m.record["article_id"], m.record["revision"], entity["entity_id"])
        for m in read(settings, schemas.ARTICLES)
        if m.record
        for entity in m.record["entities"]
    )
    assert entities == inline
    decisions = [
        m.record
        for m in read(settings, schemas.INDEX)
        if m.record and m.record["kind"] == "decision"
    ]
    sequences = [entry["sequence"] for entry in decisions]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(sequences) == sum(1 for verdict in wanted.values() if verdict[0] != "dead-letter")
