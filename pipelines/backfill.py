"""`khabar process` over an archive on Flink: workers share what needs no other article, file by
file; this process then merges what they prepared in publication order, and decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import __version__, flink, spool
from pipelines.errors import UsageError
from pipelines.graph import Plan, decided, prepared
from pipelines.process import dated, plan_of, prepare, unwritable, write_files
from pipelines.producers import files
from pipelines.records import Envelope, Origin, RawMessage
from pipelines.rehearsal import Say
from pipelines.settings import Settings
from pipelines.stages.arabic.layers import PROFILE
from pipelines.stages.fingerprint import FINGERPRINT_VERSION
from pipelines.transforms import BATCH_SIZE, Batch, batches

PARTS = ".parts"
_UNREADABLE = ".unreadable"
# In place of a partition: what marks the end of a file.
_END = -1
_AGAIN = "Type the same command again to go on: files that are prepared are not read again."
# A backfill goes on by its parts: it has no generations.
_GENERATION = 0
# Seconds between two lines of progress.
_LINE_S = 5.0


@dataclass(frozen=True)
class Source:
    """A file of the archive: its `name` as it was typed, the `path` that workers open, and the
    `part` that holds what they make of it.
    """

    name: str
    path: str
    part: str


def backfill(
    found: Sequence[Path | str],
    out: Path,
    settings: Settings,
    arguments: Sequence[str],
    *,
    progress: Callable[[Counter[str]], None] = lambda counts: None,
    say: Say = lambda text: None,
) -> Counter[str]:
    """Does what `process` does in publication order, with the stages before Decide on the Flink
    that `arguments`, Beam's options, name. The parts of files that are done stay in `out`, which
    workers must see too, until the Avro files are there: a next call sends the other files only.

    Raises UsageError, also for a file that cannot be read to its end, and Outage.
    """
    sources = sources_of(found, plan := plan_of(settings))
    folder = out.absolute() / PARTS
    name = f"backfill-{_digest(os.fsencode(folder))[:12]}"
    options = flink.options_of(arguments, bounded=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from None
    if _missing(sources, folder):
        _send_missing(sources, folder, name, plan, options, say)
    prepare("none", say)  # names were looked for by the workers
    envelopes = _batches(spool.merged([folder / source.part for source in sources]))
    counts = write_files(envelopes, decided, plan, out, settings, progress=progress)
    shutil.rmtree(folder, ignore_errors=True)
    return counts


def sources_of(found: Iterable[Path | str], plan: Plan) -> list[Source]:
    """The files as sources, in their order. A part is named by all that what is in it depends on.

    Raises UsageError for standard input, which no worker can read, and for a file that has gone.
    """
    versions = (
        *(__version__, spool.FORMAT, PROFILE, FINGERPRINT_VERSION, plan.topics.entities_version),
        *(plan.max_bytes, sorted(plan.outlet_zones.items())),
    )
    sources = []
    for file in found:
        if isinstance(file, str):
            raise UsageError(
                "On Flink the workers open the files, so standard input cannot be read. Write it "
                "into a file (.jsonl, .jsonl.gz, .jsonl.xz), and give that."
            )
        path = str(file.absolute())
        try:
            status = file.stat()
        except OSError as error:
            raise files.unreadable(str(file), error) from None
        facts = (str(file), path, status.st_size, status.st_mtime_ns, versions)
        sources.append(Source(str(file), path, _digest(json.dumps(facts).encode())))
    return sources


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _missing(sources: Iterable[Source], folder: Path) -> list[Source]:
    """Those whose parts are not there, each once."""
    there = {path.name for path in folder.iterdir()}
    return [each for each in dict.fromkeys(sources) if each.part not in there]


def _batches(envelopes: Iterator[Envelope]) -> Iterator[Batch]:
    while batch := Batch(islice(envelopes, BATCH_SIZE)):
        yield batch


def _send_missing(
    sources: Sequence[Source],
    folder: Path,
    name: str,
    plan: Plan,
    options: PipelineOptions,
    say: Say,
) -> None:
    """Has workers make the parts that are not there."""
    flink.check(options)
    # One whose command was killed would do the same work beside this one.
    flink.end(options, name, _GENERATION)
    job = flink.job_name(name, _GENERATION)
    for left in folder.iterdir():
        if left.suffix in (spool.PARTIAL, _UNREADABLE):
            left.unlink(missing_ok=True)
    missing, every = _missing(sources, folder), len(set(sources))
    if not missing:  # that job had just done the last one
        return
    pipeline = flink.pipeline_of(options, job)
    prepare_files(pipeline, missing, folder, plan)
    result = flink.send(pipeline, _AGAIN)
    say(f"sent {len(missing)} of {every} files as job {job}")
    told, before = time.monotonic(), len(missing)

    def look() -> None:
        nonlocal told, before
        if time.monotonic() - told >= _LINE_S:
            told, now = time.monotonic(), len(_missing(sources, folder))
            if now != before:
                say(f"{every - now} of {every} files prepared")
            before = now

    flink.await_end(result, look, _AGAIN)
    if not (missing := _missing(sources, folder)):
        return
    for each in missing:
        unreadable = folder / (each.part + _UNREADABLE)
        if unreadable.exists():
            raise UsageError(unreadable.read_text("utf-8"))
    raise UsageError(
        f"The workers are done, and {len(missing)} of {every} files are not in {folder}. They must "
        "see --out, and the files, under the same paths as this command."
    )


def prepare_files(
    pipeline: beam.Pipeline, sources: Iterable[Source], folder: Path, plan: Plan
) -> None:
    """Adds the half that workers share: each source becomes a part in `folder`, one that cannot be
    read a file that says why.
    """
    elements = [(os.fsencode(each.name), os.fsencode(each.path), each.part) for each in sources]
    raw = (
        pipeline
        | "Files" >> beam.Create(elements)
        | "Read" >> beam.ParDo(_ReadFile(folder, plan)).with_output_types(Batch)
    )
    prepared(raw, plan) | "Write" >> beam.ParDo(_WriteParts(folder))


class _ReadFile(beam.DoFn):
    """A file's messages, in batches, and behind them a message that no stage can read, so that all
    of them let it pass: it says that the file has ended, with how many, and for which part.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan

    def process(self, element: tuple[bytes, bytes, str]) -> Iterator[Batch]:
        name, path, part = os.fsdecode(element[0]), Path(os.fsdecode(element[1])), element[2]
        if (self._folder / part).exists():  # a job that failed begins with all its files again
            return
        count, why = 0, b""
        try:
            messages = files.read_file(path, name)
            for batch in batches(dated(messages, self._plan, spool.UNDATED)):
                count += len(batch)
                yield batch
        except UsageError as error:
            why = str(error).encode("utf-8", "replace")
        yield Batch([RawMessage(Origin(name, _END, count, 0), None, None, ((part, why),))])


class _WriteParts(beam.DoFn):
    """Writes the part of each file. A worker does a file from its beginning to its end within one
    bundle, for the steps before this one are fused with it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part: spool.PartWriter | None = None

    def start_bundle(self) -> None:
        self._drop()  # what a bundle that was broken off has left

    def process(self, batch: Batch) -> None:
        for envelope in batch:
            if self._part is None:
                self._part = spool.PartWriter(self._folder)
            origin = envelope.raw.origin
            if origin.offset != self._part.count:
                raise RuntimeError(f"{origin} came behind {self._part.count} others")
            if origin.partition == _END:
                self._end(*envelope.raw.headers[0])
            else:
                self._part.add(envelope)

    def _end(self, name: str, unreadable: bytes | None) -> None:
        assert self._part is not None
        if unreadable:
            self._drop()
            (self._folder / (name + _UNREADABLE)).write_bytes(unreadable)
        else:
            self._part.finish(self._folder / name)
            self._part = None

    def teardown(self) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._part is not None:
            self._part.drop()
            self._part = None
