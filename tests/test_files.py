"""Messages from files: what is found, what is read, and what is said when it cannot be."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipelines.errors import UsageError
from pipelines.producers import samples
from pipelines.producers.files import FileMessage, find, message_key, read
from pipelines.records import Origin, RawMessage, StageError
from pipelines.stages.decode import FIELD_NAMES, decode

LINES = b'{"id": "1", "title": "\xd8\xa3"}\n\n  \r\n{"id": "2"}\r\nnot json'
VALUES = [b'{"id": "1", "title": "\xd8\xa3"}', b'{"id": "2"}', b"not json"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("a.jsonl.xz", lzma.compress(LINES)),
    ],
    # gzip writes the time, so its bytes name the test otherwise in each process of pytest-xdist.
    ids=["plain", "gzip", "xz"],
)
def test_lines(tmp_path, name, content):
    """JSON Lines, plain or packed, give a message a line, numbered; blank lines do not count."""
    file = tmp_path / name
    file.write_bytes(content)
    messages = list(read(find([str(file)])))
    assert [m.value for m in messages] == VALUES
    assert [(m.file, m.number) for m in messages] == [(str(file), n) for n in range(3)]
    assert [m.key for m in messages] == [b"1", b"2", None]


def test_standard_input(monkeypatch):
    """`-` reads lines from standard input."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LINES)))
    assert [m.value for m in read(find(["-"]))] == VALUES


def test_texts(tmp_path):
    """A text is one message: its body the whole file, its id the name, its source the folder."""
    folder = tmp_path / "جريدة"
    folder.mkdir()
    (folder / "خبر 1.txt").write_bytes("\ufeffسطر\r\n\r\nآخر\n".encode())
    (message,) = read(find([str(folder)]))
    assert json.loads(message.value or b"") == {
        "id": "خبر 1",
        "source": "جريدة",
        "body": "سطر\r\n\r\nآخر\n",
    }
    assert message.key == "خبر 1".encode()


def test_text_that_is_not_utf_8(tmp_path):
    """Its bytes go as they are, so that Decode says what is wrong with them."""
    file = tmp_path / "a.txt"
    file.write_bytes("خبر".encode("cp1256"))
    (message,) = read([file])
    assert (message.value, message.key) == ("خبر".encode("cp1256"), None)
    with pytest.raises(StageError) as caught:
        decode(RawMessage(Origin("t", 0, 0, 0), None, message.value), lambda schema_id: None)
    assert caught.value.reason == "invalid-utf-8"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_text_whose_name_is_not_utf_8(tmp_path):
    """A file name of other bytes still gives a message."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9\xe8.txt"))
    path.write_text("نص")
    (message,) = read(find([str(tmp_path)]))
    assert json.loads(message.value or b"")["id"] == "??"


def test_folders(tmp_path):
    """A folder gives what it and its folders hold, by name; other files in it are passed over."""
    for name in ("b.jsonl", "a/c.txt", "a/b.jsonl.gz", "notes.md", "a/picture.png", "x.txt.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(Path(file).relative_to(tmp_path)) for file in find([str(tmp_path)])]
    assert found == ["a/b.jsonl.gz", "a/c.txt", "b.jsonl"]


def test_order_of_arguments(tmp_path):
    """Files come in the order in which they are named."""
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).touch()
    names = [str(tmp_path / "b.jsonl"), "-", str(tmp_path / "a.jsonl")]
    assert [str(file) for file in find(names)] == names


def test_what_cannot_be_found(tmp_path):
    """A missing path, a file of another kind and a folder with nothing in it are named."""
    (tmp_path / "a.csv").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"missing\.jsonl does not exist"):
        find([str(tmp_path / "missing.jsonl")])
    with pytest.raises(UsageError, match=r"a\.csv is neither JSON Lines"):
        find([str(tmp_path / "a.csv")])
    with pytest.raises(UsageError, match="empty holds no"):
        find([str(tmp_path / "empty")])


def damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 40 + content[middle + 40 :]


LONG = os.urandom(50_000).hex().encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.jsonl.gz", gzip.compress(LONG)[:-100]),
        ("cut.jsonl.xz", lzma.compress(LONG)[:-100]),
        ("damaged.jsonl.gz", damaged(gzip.compress(LONG))),
        ("damaged.jsonl.xz", damaged(lzma.compress(LONG))),
        ("plain.jsonl.gz", b'{"title": "x"}\n'),
        ("plain.jsonl.xz", b'{"title": "x"}\n'),
    ],
    ids=[
        f"{damage} {archive}" for damage in ("cut", "damaged", "plain") for archive in ("gz", "xz")
    ],
)
def test_broken_archives(tmp_path, name, content):
    """An archive that is cut short, damaged or none is an error that names it, not a bug."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{name} cannot be read to its end"):
        list(read(find([str(tmp_path / name)])))


def test_what_came_before_the_damage_is_read(tmp_path):
    """The messages before the place where an archive breaks off come out first."""
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"id": "1"}\n' + LONG)[:-100])
    messages = read([file])
    assert next(messages) == FileMessage(str(file), 0, b"1", b'{"id": "1"}')
    with pytest.raises(UsageError):
        list(messages)


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ('{"url": "https://www.a.example/1?utm_source=x", "id": "7"}', "a.example/1"),
        ('{"link": "http://a.example/1"}', "a.example/1"),
        ('{"url": " ", "link": "https://a.example/1"}', "a.example/1"),
        ('{"url": "https://a.example/", "id": "7"}', "7"),
        ('{"url": null, "guid": "7"}', "7"),
        ('{"id": 7}', "7"),
        ('{"url": "https://a.example/\\ud800", "id": "\\ud800"}', "?"),
        ('{"title": "x"}', None),
        ('{"id": true}', None),
        ("[1]", None),
        ("not json", None),
        ("[" * 100_000, None),
    ],
)
def test_keys(message, key):
    """The canonical URL is the key, so that one article's messages stay in order; else the id."""
    assert message_key(message.encode()) == (None if key is None else key.encode())


names = [name for field in ("url", "id") for name in FIELD_NAMES[field]]
values = st.text() | st.integers() | st.none() | st.sampled_from(["https://a.example/1", " "])


@given(st.dictionaries(st.sampled_from(names), values, max_size=4), st.text(max_size=3))
def test_keys_agree_with_identity(fields, title):
    """Messages of one source with the same key are the same article, whatever else they say."""
    key = message_key(json.dumps(fields).encode())
    if key is None or b"?" in key:
        return
    try:
        article = decode(
            RawMessage(Origin("t", 0, 0, 0), None, json.dumps({**fields, "title": "x"}).encode()),
            lambda schema_id: None,
        )
    except StageError:
        return
    assert article.id.encode() == key or key.startswith(b"a.example")


no_objects = st.recursive(values, st.lists).map(json.dumps).map(str.encode)


@given(st.binary() | no_objects)
def test_what_is_no_object_has_no_key(value):
    """Bytes of any kind that are no JSON object have no key, and raise nothing."""
    with suppress(ValueError):
        assume(not isinstance(json.loads(value), dict))
    assert message_key(value) is None


def test_samples():
    """The samples that ship are read, each with its key; one of them has no value at all."""
    found = list(samples.read())
    assert len({sample.key for sample in found}) == len(found) >= 60
    assert [sample.message_key for sample in found if sample.value is None] == [None]
