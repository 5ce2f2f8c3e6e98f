"""The file of outlets' time zones."""

import json
from pathlib import Path

import fastavro
import pytest

from pipelines.errors import UsageError
from pipelines.outlets import outlet_zones
from pipelines.process import process
from pipelines.producers.files import FileMessage
from pipelines.settings import Settings


def read(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return outlet_zones(Settings.of({"outlet_zones": str(path)}))


def test_lines(tmp_path: Path):
    """Comments and empty lines are passed over, names are taken in the match layer, = in a name is
    part of it."""
    text = "\ufeff# our outlets\n\nعُكاظ = Asia/Riyadh\n a=b =Africa/Cairo\nعكاظ=Asia/Riyadh\n"
    assert read(tmp_path / "z", text) == {"عكاظ": "Asia/Riyadh", "a b": "Africa/Cairo"}


def test_no_file():
    """Without the setting no outlet's zone is known."""
    assert outlet_zones(Settings.of({})) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# fine\nعكاظ Asia/Riyadh", "Line 2"),
        ("=Asia/Riyadh", "Line 1"),
        ("عكاظ=", "name=Area/City"),
        ("عكاظ=Asia/Riyad", "Asia/Riyadh"),
        ("عكاظ=../../etc/passwd", "there is not"),
        ("عكاظ=+03:00", "Africa/Cairo"),
        ("عكاظ=Asia/Riyadh\nعُكاظ=Africa/Cairo", "Line 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str):
    """A bad line, an unknown zone and an outlet with two zones are one paragraph that names the
    line and says what to write."""
    with pytest.raises(UsageError, match=said) as raised:
        read(tmp_path / "zones", text)
    assert "zones" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path: Path):
    """A missing file, a folder and bytes that are no text are named, with an example of a line."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", ".", "binary"):
        settings = Settings.of({"outlet_zones": str(tmp_path / name)})
        with pytest.raises(UsageError, match="Asia/Riyadh"):
            outlet_zones(settings)


def test_process_uses_them(tmp_path: Path):
    """In `process` the outlet's zone moves the publication time of the record, and what stands for
    the broker's time."""
    (tmp_path / "zones").write_text("مثال=Asia/Riyadh")
    message = {"source": "مثال", "title": "افتتاح الجسر", "published_at": "2025-03-05 12:00"}
    value = json.dumps(message).encode()
    settings = Settings.of({"ner": "none", "outlet_zones": str(tmp_path / "zones")})
    process([FileMessage("f", 0, None, value)], tmp_path, settings)
    with (tmp_path / "articles.avro").open("rb") as stream:
        (record,) = fastavro.reader(stream)
    assert isinstance(record, dict)
    assert record["published_at"].isoformat() == "2025-03-05T09:00:00+00:00"
    assert record["ingested_at"] == record["published_at"]
    assert record["published_at_zone"] == "outlet"
