"""Untrusted text on a terminal stays in its box: by the functions, and on a terminal of 80 columns
that `tail` and `demo` write to.
"""

from __future__ import annotations

import json
import os
import pty
import threading
import time
import unicodedata
from io import StringIO
from typing import Any

import pyte
import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from wcwidth import wcswidth, wcwidth

from pipelines import cli, demo
from pipelines.kafka.tail import Tailed
from pipelines.settings import Settings
from pipelines.show import as_json, as_object, as_text
from pipelines.terminal import cut, fitted, isolated, label, pieces, plain, width
from tests.test_show import ARTICLE, DUPLICATE, ENTITY, OF_ARTICLE, dead_letter, tailed

FSI, PDI = "\u2068", "\u2069"
HOSTILE = "\x00\x07\x1b\x9b\n\r\t\x85\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2068\u2069"
texts = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(HOSTILE + "\ud800\u200d\u200c\u200b\u064b\u0301👨👩👧🇸🇾❤\ufe0f中ابت abc"),
    )
)
cells = st.integers(0, 40)


def clusters(text: str) -> list[str]:
    return regex.findall(r"\X", text)


@given(texts)
def test_box_is_closed(text: str) -> None:
    """Whatever a text holds, its box has one opening, one end, one line, and no control inside."""
    box = isolated(text)
    assert (box[0], box[-1]) == (FSI, PDI)
    inside = box[1:-1]
    assert not set(inside) & set(HOSTILE)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in inside)
    box.encode()


@given(texts, st.sampled_from("a ب中"))
def test_box_joins_nothing_before_it(text: str, before: str) -> None:
    """A mark at a text's start has a sign of its own to stand on, and not the character before."""
    assert clusters(before + plain(text))[0] == before


@given(texts)
@example("👨\u200d👩\u200d👧")
@example("🇸🇾❤\ufe0f1\ufe0f\u20e3👍🏽")
def test_width_is_enough(text: str) -> None:
    """No terminal takes more columns, whether it knows clusters or shows each code point alone."""
    shown = plain(text)
    assert cell_len(shown) <= width(shown)
    assert wcswidth(shown) <= width(shown)
    assert sum(max(0, wcwidth(character)) for character in shown) <= width(shown)


@given(texts, cells)
def test_cut_fits(text: str, cells: int) -> None:
    """A cut text is no wider than it may be, and a text that fits is left alone."""
    shown = cut(text, cells)
    assert width(shown) <= cells
    found = clusters(text)
    if all(len(each) <= 30 for each in found) and sum(max(1, width(e)) for e in found) <= cells:
        assert shown == text


@given(texts, st.integers(1, 40))
def test_cut_between_letters(text: str, cells: int) -> None:
    """Where something is missing, whole letters with their marks stand before the …"""
    shown = cut(text, cells)
    if shown == text or any(len(each) > 30 for each in clusters(text)):
        return
    assert shown.endswith("…")
    kept = clusters(shown[:-1])
    assert kept == clusters(text)[: len(kept)]


@given(st.lists(st.tuples(texts.map(plain), st.booleans()), max_size=5), cells)
def test_a_line_that_is_cut_closes_its_boxes(parts: list[tuple[str, bool]], cells: int) -> None:
    """A line of boxes and other words is no wider than it may be, and every box on it is closed."""
    line = fitted(" · ".join(isolated(text) if box else text for text, box in parts), cells)
    assert width(line) <= cells
    assert line.count(FSI) == line.count(PDI)


def test_marks_stay_with_their_letter() -> None:
    """An Arabic letter keeps its harakat, an emoji family its members."""
    assert cut("مُحَمَّد", 3) == "مُحَ…"
    assert cut("👨‍👩‍👧 ab", 8) == "👨‍👩‍👧 …"
    assert cut("👨‍👩‍👧 ab", 6) == "…"
    assert cut("中文字", 4) == "中…"


def test_stacked_marks_end() -> None:
    """A letter under a thousand marks, or a thousand invisible characters, take little room."""
    assert len(cut("a" + "\u0301" * 1000, 10)) <= 30
    assert len(cut("\u200b" * 1000, 10)) <= 10


def test_plain_is_one_line() -> None:
    """Lines, tabs, escapes and overrides become single spaces."""
    assert plain("\n a\x1b[31m\t\u202eb\r\n\u2069 c ") == "a [31m b c"


def test_a_name_in_ascii_needs_no_box() -> None:
    """An id is shown so that it can be copied; one with other letters, in a box."""
    assert label("loc:sy/hama\x1b") == "loc:sy/hama"
    assert label("loc:name/حماة") == f"{FSI}loc:name/حماة{PDI}"


@given(texts.map(plain), st.integers(3, 20))
def test_pieces(text: str, cells: int) -> None:
    """A long word's pieces fit into the columns, and joined they are the word, but for what no
    line could hold."""
    found = pieces(text, cells)
    assert all(width(piece) <= cells for piece in found)
    kept = [each[:30] for each in clusters(text)]
    assert "".join(found) == "".join(each if width(each) <= cells else "…" for each in kept)


# --- On a terminal --------------------------------------------------------------------------------

COLUMNS = 80
ABOVE, BELOW = "above " * 13 + "|", "below " * 13 + "|"
EVIL = {
    "overrides": "\u202eعنوان\u202d\u202bمقلوب\u2067 abc \u2066" * 3,
    "unclosed": f"{FSI}\u2067\u202e" * 20 + "عنوان",
    "closed": PDI * 20 + "\u202c" * 20 + "عنوان" + PDI,
    "escapes": "\x1b[2J\x1b[1;1H\x1b[35;7mعنوان\x1b]0;title\x07\x1b[?1049h\x9b5A",
    "resets": "\x1bc\x1b(0\x1b[?7lعنوان\x1b[5mx\x1bD\x1bM\x1b#8",
    "split escape": "عنوان\x1b",
    "marks": "ع" + "\u0651" * 10_000 + "نوان",
    "marks first": "\u0651\u0301\u20dd\ufe0fعنوان",
    "families": "👨\u200d👩\u200d👧\u200d👦" * 60,
    "flags": "🇸🇾🇮🇶" * 60,
    "hearts": "❤\ufe0f👍🏽1\ufe0f\u20e3" * 60,
    "joined without end": "👨\u200d" * 500,
    "controls": "\x00\x08\x08\x08\x0b\x0c\x0e\x0f\x7f\x84\x85\x8d\x90\x98عنوان\r\r",
    "long": "كلمة" * 50_000,
    "long word": "ﷺ﷽" * 500,
    "wide": "中文한국어ｆｕｌｌ" * 60,
    "lines": "عنوان\r\n\u2028\u2029\n\x85سطر ثان\n" * 30,
    "invisible": "\u200b\u2060\u00ad\ufeff\u034f\u115f\u1160\u3164" * 60,
    "halves": "\udc00عنوان\ud800",
}
evil = pytest.mark.parametrize("text", EVIL.values(), ids=EVIL.keys())


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> int:
    """The columns that `tail` uses on that terminal."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    return cli._columns()


def on_terminal(written: str) -> pyte.Screen:
    """A screen of 80 columns after what was written went through a terminal's line discipline."""
    screen = pyte.Screen(COLUMNS, 100)
    stream = pyte.ByteStream(screen)
    read, write = pty.openpty()

    def feed() -> None:
        with os.fdopen(write, "wb") as file:
            file.write(written.encode())

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        while some := os.read(read, 4096):
            for each in some:  # pyte drops what follows a zero-width character in the same piece
                stream.feed(bytes([each]))
    except OSError:  # how Linux tells that the other side was closed
        pass
    finally:
        feeding.join()
        os.close(read)
    return screen


def check(written: str, styled: bool = False) -> list[str]:
    """The rows on the screen, after it was seen that each line took one row and left the others
    as they were.
    """
    lines = f"{ABOVE}\n{written}{BELOW}".split("\n")
    screen = on_terminal("\n".join(lines))
    rows = [row.rstrip() for row in screen.display]
    last = len(lines) - 1
    assert (rows[0], rows[last]) == (ABOVE, BELOW)
    assert (screen.cursor.y, screen.cursor.x) == (last, len(BELOW))
    assert not any(rows[last + 1 :])
    assert screen.title == screen.icon_name == ""
    assert pyte.modes.DECAWM in screen.mode
    for line in lines:
        assert line.count(FSI) == line.count(PDI)
    colours = {cell.fg for row in screen.buffer.values() for cell in row.values()}
    reverse = any(cell.reverse for row in screen.buffer.values() for cell in row.values())
    assert not reverse
    assert colours <= ({"default", "green", "brown", "cyan", "red"} if styled else {"default"})
    return rows[1:last]


def inside(line: str) -> str:
    """The first box of a line."""
    return line[line.index(FSI) + 1 : line.index(PDI)]


@evil
def test_tail_on_a_terminal(text: str, columns: int) -> None:
    """What `tail` prints of a hostile article takes a row for each line, changes neither colour nor
    cursor nor other rows, and is cut between letters only; what stands beside a box is untouched.
    """
    record = {**ARTICLE, "title": text, "source": text, "outlet": text, "agency": text}
    record |= {"body": text, "entities": [{**ENTITY, "name": text}], "verdict": "correction"}
    written = as_text(tailed("articles", record), columns)
    rows = check(f"{written}\n")
    assert rows[0].startswith("correction ")
    assert any(row.endswith("news.articles 0:7") for row in rows)
    assert any(row.startswith("  story " + "b2" * 16) for row in rows)
    shown = inside(written)
    kept = clusters(shown.removesuffix("…"))
    whole = [cluster[:30] for cluster in clusters(plain(text))]
    assert kept == whole[: len(kept)]
    assert (len(kept) < len(whole)) == shown.endswith("…")


@evil
def test_other_records_on_a_terminal(text: str, columns: int) -> None:
    """So it is with duplicates, entities, raw messages, dead letters and records of others."""
    value = text.encode("utf-8", "surrogatepass")
    for message in (
        tailed("duplicates", {**DUPLICATE, "title": text, "source": text, "outlet": text}),
        tailed("entities", {**ENTITY, **OF_ARTICLE, "name": text, "aliases": [text] * 9}),
        tailed("entities", {**ENTITY, **OF_ARTICLE, "entity_id": text, "country": text}),
        tailed("raw", value=value),
        dead_letter(value, text, key=value[:100]),
        tailed("else", {text: text}),
    ):
        check(as_text(message, columns))


@evil
def test_json_on_a_terminal(text: str) -> None:
    """A line of JSON holds nothing that a terminal obeys, and means what the record holds."""
    message = tailed("articles", {**ARTICLE, "title": text, text: [text]})
    line = as_json(message)
    assert not set(line) & set(HOSTILE)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in line)
    assert json.loads(line) == as_object(message)


@evil
def test_demo_on_a_terminal(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with what `demo` shows: stories, copies, dead letters and the summary."""
    monkeypatch.setattr(demo, "_command", lambda: "khabar")
    screen = StringIO()
    console = Console(
        file=screen,
        force_terminal=True,
        width=COLUMNS,
        color_system="standard",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )
    play = demo._Play(None, Settings.of({}), console, time.monotonic())  # type: ignore[arg-type]
    record: dict[str, Any] = {**ARTICLE, **DUPLICATE, "title": text, "source": text}
    record |= {"story_id": "s", "entities": [{**ENTITY, "name": text}] * 3}
    for sequence, verdict in enumerate(("new", "duplicate", "revision"), 1):
        play._sent_at.append(time.monotonic())
        play._take(message(record, sequence, verdict, language=text if sequence == 1 else "ar"))
    play._dead_letter({"reason": "bad", "detail": text}, text.encode("utf-8", "surrogatepass"))
    play.summary()
    rows = check(screen.getvalue(), styled=True)
    starts = [row[:13].rstrip() for row in rows if row[:1].strip()]
    assert starts[:4] == ["story 1", "held back", "revision", "dead letter"]


def message(record: dict[str, Any], sequence: int, verdict: str, **more: Any) -> Tailed:
    origin = {"origin": {"offset": sequence - 1}, "sequence": sequence, "verdict": verdict}
    topic = "duplicates" if verdict == "duplicate" else "articles"
    return Tailed(f"news.{topic}", 0, 0, 0, None, b"", [], {**record, **origin, **more})
