"""`khabar process` over an archive on a real Flink: the local run's records, whatever is killed."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.backfill import PARTS, sources_of
from pipelines.local import Flink
from pipelines.process import WRITTEN, plan_of
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import workers
from tests.test_process import records

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
FILES, ARTICLES = 8, 400
OPENERS: tuple[tuple[str, Callable[..., object]], ...] = (
    ("", open),
    (".gz", gzip.open),
    (".xz", lzma.open),
)


@pytest.fixture(scope="module")
def flink() -> Iterator[Flink]:
    with Flink() as running:
        yield running


def lay_out(folder: Path) -> None:
    """Articles in files of all kinds, whose times cross; a quarter of them have none, the first
    ones of a file among them; a text, and an empty file."""
    folder.mkdir()
    chance = random.Random(5)
    for number in range(FILES):
        ending, opener = OPENERS[number % len(OPENERS)]
        with opener(folder / f"{number}.jsonl{ending}", "wb") as stream:
            for place, value in enumerate(articles(ARTICLES, number)):
                fields = json.loads(value)
                if place > 2 and chance.random() < 0.75:
                    fields["published_at"] = 1_700_000_000 + chance.randrange(20 * 24 * 3600)
                stream.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
    (folder / "4b.jsonl").touch()
    (folder / "5b.txt").write_text("أعلنت الوزارة عن افتتاح المدرسة", "utf-8")


@dataclass
class Archive:
    """A folder of files as the command names it, and the command that reads it."""

    home: Path
    flink: Flink
    ner: str = "none"
    count: int = FILES + 2

    @property
    def parts(self) -> Path:
        return self.home / "out" / PARTS

    def files(self) -> list[Path]:
        return sorted((self.home / "archive").iterdir())

    def command(self, out: str, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "pipelines", "process", "archive", "--out", out),
            *("--order=published", f"--ner={self.ner}", *more),
        ]

    def on_flink(self, *more: str) -> list[str]:
        at = self.flink.addresses
        return self.command(
            "out",
            "--runner=FlinkRunner",
            f"--job_endpoint={at.job_endpoint}",
            f"--artifact_endpoint={at.artifact_endpoint}",
            f"--environment_config={at.workers}",
            *more,
        )

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: list[str]) -> tuple[int, str]:
        process = self.start(command)
        try:
            _, said = process.communicate(timeout=900)
        finally:
            process.kill()
        return process.returncode, said

    def run_here(self) -> None:
        """The local run, whose records the others must be."""
        code, said = self.run(self.command("here"))
        assert code == 0, said

    def finished(self) -> set[str]:
        """The parts that are there."""
        if not self.parts.exists():
            return set()
        return {path.name for path in self.parts.iterdir() if not path.suffix}

    def await_finished(self, count: int) -> set[str]:
        deadline = time.monotonic() + 600
        while len(done := self.finished()) < count:
            assert time.monotonic() < deadline, f"{len(done)} of {count} parts were made"
            time.sleep(0.05)
        return done

    def spoil_finished(self) -> int:
        """Has the files that are finished say something else, under the same size and time: who
        reads one of them again writes other records. Returns how many they are."""
        done, plan = self.finished(), plan_of(Settings.of({"ner": self.ner}))
        with chdir(self.home):
            found = sources_of([path.relative_to(self.home) for path in self.files()], plan)
        sources = [source for source in found if source.part in done]
        for source in sources:
            status = Path(source.path).stat()
            Path(source.path).write_bytes(b"x" * status.st_size)
            os.utime(source.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert len(sources) == len(done), "a part belongs to no file"
        return len(sources)

    def check(self) -> None:
        """The local run's records, in its order; and nothing else is left."""
        for kind in WRITTEN:
            assert records(self.home / "out", kind) == records(self.home / "here", kind)
        assert sorted(path.stem for path in (self.home / "out").iterdir()) == sorted(WRITTEN)


@pytest.fixture
def archive(tmp_path: Path, flink: Flink) -> Archive:
    lay_out(tmp_path / "archive")
    made = Archive(tmp_path, flink)
    made.run_here()
    return made


def test_the_same_records(tmp_path: Path, flink: Flink) -> None:
    """Names looked for on workers, files named as they were typed: the records are those of the
    local run, in its order."""
    lay_out(tmp_path / "archive")
    archive = Archive(tmp_path, flink, ner="default")
    archive.run_here()
    code, said = archive.run(archive.on_flink())
    assert code == 0, said
    assert f"sent {archive.count} of {archive.count} files" in said
    archive.check()


def test_an_unknown_option(archive: Archive) -> None:
    """An option that neither Beam nor the job server has is named, and nothing is sent."""
    code, said = archive.run(archive.on_flink("--paralelism=4"))
    assert code == 2
    assert "--paralelism" in said
    assert not archive.finished()


def test_a_killed_worker(archive: Archive) -> None:
    """All workers killed in mid-stream: the job goes on by itself, reads no finished file again,
    and the records are the local run's."""
    process = archive.start(archive.on_flink())
    try:
        archive.await_finished(2)
        archive.spoil_finished()
        killed = workers(archive.flink)
        assert killed
        for worker in killed:
            worker.kill()
        _, said = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, said
    archive.check()


def test_a_killed_job_server(archive: Archive) -> None:
    """The job server killed, with Flink in it: an outage that says what to type. The same command
    then sends only the files that were not finished."""
    process = archive.start(archive.on_flink())
    try:
        archive.await_finished(2)
        archive.flink.restart_server()
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 75, said
    assert "Type the same command again" in said
    done = archive.spoil_finished()
    assert done >= 2
    code, said = archive.run(archive.on_flink())
    assert code == 0, said
    assert f"sent {archive.count - done} of {archive.count} files" in said
    archive.check()


def test_a_killed_command(archive: Archive) -> None:
    """The command killed while files are prepared: its job is ended by the next one, which goes on
    with what is left. Killed while it merges, the next one needs no Flink any more."""
    process = archive.start(archive.on_flink())
    try:
        archive.await_finished(2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    archive.spoil_finished()
    process = archive.start(archive.on_flink())
    try:
        archive.await_finished(archive.count)
        archive.spoil_finished()
        partial = archive.home / "out" / "articles.avro.partial"
        while not partial.exists() or not partial.stat().st_size:
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert partial.exists()
    code, said = archive.run(archive.on_flink("--job_endpoint=127.0.0.1:1"))
    assert code == 0, said
    archive.check()


def test_a_poison_file(archive: Archive) -> None:
    """A file that is cut short is told in the local run's words, when all others are prepared; when
    it is mended, it alone is read."""
    path = archive.files()[1]
    whole = path.read_bytes()
    assert path.suffix == ".gz"
    path.write_bytes(whole[: len(whole) // 2])
    here, on_flink = (
        archive.run(command)
        for command in (archive.command("cut"), archive.on_flink("--parallelism=3"))
    )
    assert here[0] == on_flink[0] == 2
    assert "archive/1.jsonl.gz cannot be read to its end" in here[1]
    assert on_flink[1].splitlines()[-1] == here[1].splitlines()[-1]
    assert archive.spoil_finished() == archive.count - 1
    path.write_bytes(whole)
    code, said = archive.run(archive.on_flink())
    assert code == 0, said
    assert f"sent 1 of {archive.count} files" in said
    archive.check()
