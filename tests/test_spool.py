"""A backfill's two halves without Flink: parts, their names, and the order of the merge."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import spool
from pipelines.backfill import prepare_files, sources_of
from pipelines.errors import UsageError
from pipelines.graph import decided
from pipelines.process import WRITTEN, arriving, dated, plan_of, process, write_files
from pipelines.producers import files
from pipelines.producers.files import FileMessage
from pipelines.records import Envelope, Origin, RawMessage
from pipelines.runner import in_process_pipeline
from pipelines.settings import Settings
from pipelines.spool import UNDATED, PartWriter, merged
from pipelines.transforms import Batch
from tests.kafka.corpus import articles
from tests.test_process import records

DEFAULTS = Settings.of({"ner": "none"})
PLAN = plan_of(DEFAULTS)

# Before 1970, as good as never, twice the same, and what no clock can have seen yet.
TIMES = st.sampled_from(
    [None, "no time", "1969-07-20", "1970-01-01", "2015-07-21", "2015-07-22T08:00Z", "2999-01-01"]
)


def message(file: int, number: int, published: str | None) -> FileMessage:
    fields = {"title": f"{file}/{number}", "published_at": published}
    return FileMessage(f"{file}.jsonl", number, None, json.dumps(fields).encode())


def write(folder: Path, name: str, raws: Iterable[RawMessage]) -> Path:
    writer = PartWriter(folder)
    for raw in raws:
        writer.add(Envelope(raw))
    writer.finish(folder / name)
    return folder / name


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and blocks so small that a few messages fill several."""
    monkeypatch.setattr(spool, "_RUN", 3)
    monkeypatch.setattr(spool, "_BLOCK", 2)


@pytest.mark.usefixtures("small")
def test_any_order() -> None:
    """However dated and undated messages lie in however many files, the merge gives those of the
    local `--order=published`, in its order and with its timestamps."""

    @given(st.lists(st.lists(TIMES, max_size=9), max_size=5))
    def check(archive: list[list[str | None]]) -> None:
        read = [[message(f, n, t) for n, t in enumerate(times)] for f, times in enumerate(archive)]
        with TemporaryDirectory() as folder:
            parts = [
                write(Path(folder), f"{number}", dated(messages, PLAN, UNDATED))
                for number, messages in enumerate(read)
            ]
            found = [envelope.raw for envelope in merged(parts)]
        every = (each for messages in read for each in messages)
        assert found == list(arriving(every, PLAN, published_order=True))

    check()


def test_a_part_is_read_when_its_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files that lie one behind the other in time the merge holds one block, however many."""
    parts = [
        write(tmp_path, f"{day}", [RawMessage(Origin("f", 0, n, day), None, b"") for n in range(9)])
        for day in range(20)
    ]
    read: list[Path] = []
    block = spool._block
    monkeypatch.setattr(spool, "_block", lambda path, at: read.append(path) or block(path, at))
    for number, _ in enumerate(merged(parts)):
        assert read == parts[: number // 9 + 1]


def test_a_part_has_no_name_before_it_is_complete(tmp_path: Path) -> None:
    """What a broken try has written is not taken for a part, and goes with `drop`."""
    writer = PartWriter(tmp_path)
    writer.add(Envelope(RawMessage(Origin("f", 0, 0, 0), None, b"")))
    (left,) = tmp_path.iterdir()
    assert left.suffix == spool.PARTIAL
    writer.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_there_stays(tmp_path: Path) -> None:
    """A worker of an older job that ends late changes no part that the merge may be reading."""
    write(tmp_path, "part", [RawMessage(Origin("f", 0, 0, 1), None, b"first")])
    write(tmp_path, "part", [RawMessage(Origin("f", 0, 0, 1), None, b"late")])
    assert [envelope.raw.value for envelope in merged([tmp_path / "part"])] == [b"first"]
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.fixture
def archive(tmp_path: Path) -> list[Path | str]:
    """Articles in three files, whose times cross; a text, and an empty file between them."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for file in range(3):
        lines = []
        for number, value in enumerate(articles(100, file)):
            fields = json.loads(value)
            if number % 3:
                fields["published_at"] = 1_700_000_000 + number * 7_000 % 90_000 + file * 10_000
            lines.append(json.dumps(fields, ensure_ascii=False))
        (folder / f"{file}.jsonl").write_text("\n".join(lines), "utf-8")
    (folder / "0b.jsonl").touch()
    (folder / "1b.txt").write_text("أعلنت الوزارة عن افتتاح المدرسة", "utf-8")
    return files.find([str(folder)])


def prepare(archive: Sequence[Path | str], folder: Path) -> list[Path]:
    """Both halves' middle: the parts of the archive, made in this process."""
    folder.mkdir(exist_ok=True)
    sources = sources_of(archive, PLAN)
    with in_process_pipeline() as pipeline:
        prepare_files(pipeline, sources, folder, PLAN)
    return [folder / source.part for source in sources]


def test_the_halves_are_the_whole(archive: list[Path | str], tmp_path: Path) -> None:
    """Both halves write the records of the local run, in its order, and count the same."""
    parts = prepare(archive, tmp_path / "parts")
    assert set(parts) == set((tmp_path / "parts").iterdir())
    batch = Batch(merged(parts))
    counts = write_files(iter([batch]), decided, PLAN, tmp_path / "halves", DEFAULTS)
    whole = process(files.read(archive), tmp_path / "whole", DEFAULTS, published_order=True)
    assert counts == whole
    for kind in WRITTEN:
        assert records(tmp_path / "halves", kind) == records(tmp_path / "whole", kind)


def test_a_finished_file_is_not_read_again(archive: list[Path | str], tmp_path: Path) -> None:
    """A job that begins again leaves alone what has a part."""
    parts = prepare(archive, tmp_path / "parts")
    before = {part: part.stat().st_mtime_ns for part in parts}
    parts[1].unlink()
    prepare(archive, tmp_path / "parts")
    assert [part for part in parts if part.stat().st_mtime_ns != before[part]] == [parts[1]]


def test_a_cut_file_leaves_no_part(archive: list[Path | str], tmp_path: Path) -> None:
    """The words of the local run stand in its place, and the files behind it are prepared."""
    assert isinstance(archive[0], Path)
    cut = archive[0].with_suffix(".jsonl.gz")
    cut.write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(UsageError) as raised:
        list(files.read([cut]))
    parts = prepare([archive[0], cut, archive[2]], tmp_path / "parts")
    assert [part.exists() for part in parts] == [True, False, True]
    assert (parts[1].parent / f"{parts[1].name}.unreadable").read_text() == str(raised.value)


def test_what_names_a_part(archive: list[Path | str]) -> None:
    """The same file under the same settings has the same part; another size, time, name or setting
    that changes what is prepared has another. How stories are decided changes no part."""

    def part(file: Path | str, **values: object) -> str:
        return sources_of([file], plan_of(Settings.of({"ner": "none", **values})))[0].part

    file = archive[0]
    assert isinstance(file, Path)
    first = part(file)
    assert part(file, window_days=3) == first
    assert part(Path(os.path.relpath(file))) != first
    assert part(file, ner="default") != first
    assert part(file, max_message_bytes=100_000) != first
    (file.parent / "zones").write_text("okaz=Asia/Riyadh")
    assert part(file, outlet_zones=str(file.parent / "zones")) != first
    os.utime(file, ns=(0, time.time_ns() + 1_000_000_000))
    assert part(file) != first


def test_standard_input_is_refused() -> None:
    """No worker can read the command's standard input; the error says what to do."""
    with pytest.raises(UsageError, match="into a file"):
        sources_of(["-"], PLAN)
