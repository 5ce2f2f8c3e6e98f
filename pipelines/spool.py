"""Prepared articles on disk, between the two halves of a backfill: each input file's envelopes as
one part, in runs sorted by time, and the merge of all parts in publication order.
"""

from __future__ import annotations

import heapq
import os
import pickle
import struct
import zlib
from collections.abc import Iterable, Iterator
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from pipelines.records import Envelope, changed

# The time of messages that stand before the first dated one of their file: only the merge knows
# what stands before the file.
UNDATED = -(2**63)
# Stands in the names of parts: another number wherever one version of Khabar lays them out, or
# prepares an article, in another way than before.
FORMAT = 2

PARTIAL = ".partial"
# Envelopes of a run, and bytes of their messages: what a worker sorts in memory, at some ten times
# these bytes. Envelopes of a block: what the merge holds of a run.
_RUN, _RUN_BYTES = 4096, 8 * 1024 * 1024
_BLOCK = 16
_LENGTH = struct.Struct(">Q")

_time_of = attrgetter("raw.origin.timestamp")


class Run(NamedTuple):
    """A sorted piece of a part: the time of its first envelope, and the bytes it takes there."""

    first: int
    start: int
    end: int


class PartWriter:
    """Writes one part, in a file that has no name yet; envelopes come in their file's order, the
    timestamp of their origin being their publication time or UNDATED.
    """

    def __init__(self, folder: Path) -> None:
        self.count = 0
        # A broken try that still runs somewhere writes into a file of its own.
        self._path = folder / f"{uuid4().hex}{PARTIAL}"
        self._stream = self._path.open("xb")
        self._last = UNDATED
        self._runs: list[Run] = []
        self._run: list[Envelope] = []
        self._bytes = 0

    def add(self, envelope: Envelope) -> None:
        """Takes the next one."""
        time = _time_of(envelope)
        # What is undated is a run of its own: it has one time, whichever that will be.
        if len(self._run) >= _RUN or self._bytes >= _RUN_BYTES or (self._last == UNDATED != time):
            self._end_run()
        self._last = time
        self._run.append(envelope)
        self._bytes += len(envelope.raw.value or b"")
        self.count += 1

    def finish(self, path: Path) -> None:
        """Gives the part its name, when all of it is on disk; one that is there already stays, for
        it may be in use.
        """
        if path.exists():
            self.drop()
            return
        self._end_run()
        footer = pickle.dumps((self._last, self._runs))
        self._stream.write(footer + _LENGTH.pack(len(footer)))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._path.replace(path)

    def drop(self) -> None:
        """Removes what was written."""
        self._stream.close()
        self._path.unlink(missing_ok=True)

    def _end_run(self) -> None:
        if not self._run:
            return
        self._run.sort(key=_time_of)
        start = self._stream.tell()
        for at in range(0, len(self._run), _BLOCK):
            block = zlib.compress(pickle.dumps(self._run[at : at + _BLOCK]), level=1)
            self._stream.write(_LENGTH.pack(len(block)) + block)
        self._runs.append(Run(_time_of(self._run[0]), start, self._stream.tell()))
        self._run, self._bytes = [], 0


def merged(parts: Iterable[Path]) -> Iterator[Envelope]:
    """The envelopes of all parts in publication order, those of one time in the order of the parts
    and in each as they came; without a time, with that of the one before. Each has the time that a
    broker would have given it: the latest so far.

    Holds one block of each run whose time has come, so the fewer runs overlap, the less.
    """
    runs, before = [], 0
    for path in parts:
        last, of_part = _footer(path)
        runs += [_read(path, run, before) for run in of_part]
        before = before if last == UNDATED else last
    latest = 0
    for time, envelope in heapq.merge(*runs, key=itemgetter(0)):
        if envelope is not None:
            latest = max(latest, time)
            yield _stamped(envelope, latest)


def _footer(path: Path) -> tuple[int, list[Run]]:
    """The time of the part's last envelope as they came, and its runs."""
    with path.open("rb") as stream:
        stream.seek(-_LENGTH.size, os.SEEK_END)
        (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
        stream.seek(-_LENGTH.size - length, os.SEEK_END)
        footer: tuple[int, list[Run]] = pickle.loads(stream.read(length))
    return footer


def _read(path: Path, run: Run, before: int) -> Iterator[tuple[int, Envelope | None]]:
    """The run's envelopes with their times; first its first time alone, so that nothing is read
    before that has come.
    """
    yield (before if run.first == UNDATED else run.first), None
    at = run.start
    while at < run.end:
        block, at = _block(path, at)
        for envelope in block:
            time = _time_of(envelope)
            yield (before if time == UNDATED else time), envelope


def _block(path: Path, at: int) -> tuple[list[Envelope], int]:
    """The block that stands there, and where the next one does."""
    # Opened for each block: there may be more runs than a process may have files open.
    with path.open("rb") as stream:
        stream.seek(at)
        (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
        block: list[Envelope] = pickle.loads(zlib.decompress(stream.read(length)))
    return block, at + _LENGTH.size + length


def _stamped(envelope: Envelope, timestamp: int) -> Envelope:
    """As if it had come with this timestamp; before Decide no stage asks for it."""
    values: dict[str, Any] = {}
    if envelope.article is not None:
        values["article"] = changed(envelope.article, ingested_at=timestamp)
    origin = changed(envelope.raw.origin, timestamp=timestamp)
    return changed(envelope, raw=changed(envelope.raw, origin=origin), **values)
