"""Untrusted text on a terminal stays in its box."""

import unicodedata

import regex
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipelines.terminal import cut, isolated, plain

FSI, PDI = "\u2068", "\u2069"
HOSTILE = "\x00\x07\x1b\x9b\n\r\t\x85\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2068\u2069"
texts = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(HOSTILE + "\ud800\u200d\u200c\u200b\u064b\u0301👨👩👧🇸🇾中ابت abc"),
    )
)


@given(texts)
def test_box_is_closed(text: str) -> None:
    """Whatever a text holds, its box has one opening, one end, one line, and no control inside."""
    box = isolated(text)
    assert (box[0], box[-1]) == (FSI, PDI)
    inside = box[1:-1]
    assert not set(inside) & set(HOSTILE)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in inside)
    box.encode()


@given(texts, st.integers(0, 40))
def test_cut_fits(text: str, cells: int) -> None:
    """A cut text is no wider than it may be, and a text that fits is left alone."""
    shown = cut(text, cells)
    assert cell_len(shown) <= cells
    clusters = regex.findall(r"\X", text)
    if all(len(c) <= 30 for c in clusters) and sum(max(1, cell_len(c)) for c in clusters) <= cells:
        assert shown == text


@given(texts, st.integers(1, 40))
def test_cut_between_letters(text: str, cells: int) -> None:
    """Where something is missing, whole letters with their marks stand before the …"""
    shown = cut(text, cells)
    if shown == text or any(len(c) > 30 for c in regex.findall(r"\X", text)):
        return
    assert shown.endswith("…")
    kept = regex.findall(r"\X", shown[:-1])
    assert kept == regex.findall(r"\X", text)[: len(kept)]


def test_marks_stay_with_their_letter() -> None:
    """An Arabic letter keeps its harakat, an emoji family its members."""
    assert cut("مُحَمَّد", 3) == "مُحَ…"
    assert cut("👨‍👩‍👧 ab", 4) == "👨‍👩‍👧 …"
    assert cut("中文字", 4) == "中…"


def test_stacked_marks_end() -> None:
    """A letter under a thousand marks, or a thousand invisible characters, take little room."""
    assert len(cut("a" + "\u0301" * 1000, 10)) <= 30
    assert len(cut("\u200b" * 1000, 10)) <= 10


def test_plain_is_one_line() -> None:
    """Lines, tabs, escapes and overrides become single spaces."""
    assert plain("\n a\x1b[31m\t\u202eb\r\n\u2069 c ") == "a [31m b c"
