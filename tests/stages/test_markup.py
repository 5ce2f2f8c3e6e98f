"""What a reader of a page sees of HTML, and the way back to where it stood."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Furniture
from pipelines.stages import markup
from pipelines.stages.arabic.layers import display_text
from pipelines.stages.clean import clean
from pipelines.stages.entities import entities
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.markup import Visible, visible_text, with_markup
from pipelines.stages.normalize import normalize

MIB = 2**20


def displayed(raw: str) -> str:
    return display_text(visible_text(raw).text)[0]


def tags(raw: str) -> list[str]:
    return [raw[start:end] for start, end in visible_text(raw).markup]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<p>أول</p><p>ثان</p>", "أول\n\nثان"),
        ("<h2>عنوان</h2>نص", "عنوان\n\nنص"),
        ("<ul><li>أول<li>ثان</ul>نص", "أول\nثان\n\nنص"),
        ("أول<br>ثان<BR/>ثالث<br />رابع", "أول\nثان\nثالث\nرابع"),
        ("<tr><td>أول</td><td>ثان</td><tr><td>ثالث", "أول ثان\nثالث"),
        ("كلمة<b>ين</b> <span class='x'>و</span>نصف", "كلمةين ونصف"),
        ("قبل<img src=a.jpg>بعد", "قبل بعد"),
        ("قبل<!-- <p> - > -->بعد<!-->وبعد<!--->و<!-- --!>.", "قبلبعدوبعدو."),
        ("<!DOCTYPE html><?xml version='1.0'?>نص", "نص"),
        ("<![CDATA[<p>نص]]></p>", "نص"),
        ("<script>if (a<b) {'</p>'}</script>نص<STYLE>p{}</Style >", "نص"),
        ("<noscript>فعّل</noscript><iframe src=x>لا</iframe>نص", "نص"),
        ("<iframe src='x' />نص<iframe></iframe>", "نص"),
        ("<o:p>&nbsp;</o:p>نص<![if !supportLists]>·<![endif]>", "نص·"),
        ("<a title='أ > ب' href=\"?<>\">رابط</a>", "رابط"),
        ('<img alt="قال "نعم" ومضى" src=x>نص', "نص"),
        ("<a href=>أ</a><input disabled value = 'x'>ب", "أ ب"),
    ],
)
def test_markup_goes(raw: str, shown: str):
    """Tags, comments, declarations, CDATA's wrapper, and scripts and styles with their content
    are not seen; tags of blocks end a line, cells and pictures stand apart, the rest leaves no gap.
    """
    assert displayed(raw) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "<3 و a < b و 5 > 3 و <- و <> و </ ",
        "<داعش> و<كلمة و<name@example.org> و<https://a.example> و<b-1>",
        "نص <b ثم <a href='x",
        "قال <b نعم> و<p: لا>",
        "نص <!-- لا نهاية",
        "نص ]]> و<![CDAT[",
        '<a b="<i لا نهاية',
        "<scripted>",
    ],
)
def test_what_is_no_markup_stays(raw: str):
    """Of plain text with < and > in it nothing goes: only whole tags of elements of HTML count."""
    assert visible_text(raw) == Visible(raw)


def test_nothing_is_lost_behind_a_script_without_end():
    """Of a script or style that is never closed only the tag goes."""
    raw = "<script>أول <style>ثان <script>ثالث</scripted></style"
    assert displayed(raw) == "أول ثان ثالث</scripted></style"
    assert tags(raw) == ["<script>", "<style>", "<script>"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("&quot;نعم&quot;&nbsp;قال&#1548; &#x644;&#X627;", '"نعم" قال، لا'),
        ("&lt;b&gt; &amp;quot; &laquo;&raquo;", "<b> &quot; «»"),
        ("&nbspكلمة &amp &lt &#39 &#x27;", "كلمة & < ' '"),
        ("أ&#8207;ب&#x202E;ج&shy;د&zwnj;ه&#1;و&#xFEFF;ز", "أبجد\u200cهوز"),
        ("&#128; &#x93;&#148; &#129;.", "€ “” ."),
        ("&#0; &#xD800; &#1114112; &#x00110000; &#" + "9" * 5000 + ";", "\ufffd " * 4 + "\ufffd"),
        ("&#" + "0" * 5000 + "1594;", "غ"),
        ("أ&#10;ب&#13;ج", "أ\nب\nج"),
    ],
)
def test_references(raw: str, shown: str):
    """Character references become their characters, once; bad numbers as the standard says."""
    assert displayed(raw) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "AT&T و R&D و a & b و && و &",
        "&foo; و &; و &#; و &#x; و &#xg و &ampere و &Nbsp;",
        "https://a.example/?a=1&lt=2&copy=3&amp=4 و BTC&ETH",
    ],
)
def test_what_is_no_reference_stays(raw: str):
    """An & that begins no reference is an &: in names of firms, in addresses, alone."""
    assert visible_text(raw) == Visible(raw)


def test_references_as_in_the_standard_library():
    """A reference that ends with ; is resolved as `html.unescape` does it, by name or number."""
    names = [name for name in markup.html5 if name.endswith(";")]
    numbers = [f"#{point};" for point in (*range(0x300), 0x10FFFF, 0x110000, 0xDFFF)]
    for reference in names + numbers:
        shown = visible_text(f"&{reference}").text
        # It drops controls and noncharacters itself, which here the display layer does.
        assert display_text(shown)[0] == display_text(unescape(f"&{reference}"))[0], reference


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<p>سطر\nطويل\r\nمكسور\n\nفقرة</p>\n<p>ثانية</p>", "سطر طويل مكسور\n\nفقرة\n\nثانية"),
        ("<b>سطر</b>\nسطر", "سطر\nسطر"),
        ("سطر<br />\nسطر\n<br>\r\n<br>فقرة", "سطر\nسطر\n\nفقرة"),
        (
            "<p>نثر\nنثر<pre>شعر\r\nشعر\n\nشعر</pre>نثر\nنثر",
            "نثر نثر\n\nشعر\nشعر\n\nشعر\n\nنثر نثر",
        ),
        ("سطر\nسطر</p>", "سطر\nسطر"),
    ],
)
def test_lines_of_the_source(raw: str, shown: str):
    """Where paragraphs are marked up a line end is a space, and an empty line still a paragraph;
    elsewhere, and in <pre>, it is a line end, but not a second one beside <br>.
    """
    assert displayed(raw) == shown


def test_each_character_leads_back():
    """A character put in for a tag leads to the tag, a resolved one to its reference."""
    raw = "أ<td>&amp;ب"
    visible = visible_text(raw)
    assert visible.text == "أ &ب"
    assert visible.offsets is not None
    spans = [visible.offsets.span(at, at + 1) for at in range(4)]
    assert [raw[start:end] for start, end in spans] == ["أ", "<td>", "&amp;", "ب"]


def test_markup_is_furniture_once():
    """Spans that touch are one piece of furniture; inside another piece they are that piece."""
    date = Furniture("date", "raw_body", 3, 20)
    markup = {"raw_title": [(5, 6)], "raw_body": [(0, 3), (5, 9), (17, 20), (20, 24), (24, 26)]}
    assert with_markup([date], markup) == (
        Furniture("markup", "raw_title", 5, 6),
        Furniture("markup", "raw_body", 0, 3),
        date,
        Furniture("markup", "raw_body", 20, 26),
    )


def test_mentions_are_exact_across_tags():
    """A name with a tag, a reference or a comment inside is found, and its mention is the raw
    span from its first letter to its last.
    """
    body = (
        "<p>وصل الوفد إلى <b>دير</b>&nbsp;<i>الزور</i> قادماً من د&#1605;شق.</p>\n<p>ثم عاد إلى "
        "بغ<!-- x -->داد مساء اليوم نفسه بعد لقاء قصير.</p>"
    )
    article = entities(normalize(clean(Article("a", raw_body=body))), Gazetteer.load())
    mentions = [mention for entity in article.entities for mention in entity.mentions]
    assert [mention.text for mention in mentions] == [
        "دير</b>&nbsp;<i>الزور",
        "د&#1605;شق",
        "بغ<!-- x -->داد",
    ]
    assert all(body[m.start : m.end] == m.text for m in mentions)
    aliases = [alias for entity in article.entities for alias in entity.aliases]
    assert aliases == ["دير الزور", "دمشق", "بغداد"]


# --- Any text -----------------------------------------------------------------------------------

FRAGMENTS = [
    *("<p>", "</p>", "<div class='أ'>", "<br/>", "<td>", "<b>", "</b>", "<img alt='>'>", "<pre>"),
    *("<script>", "</script>", "<!--", "-->", "<![CDATA[", "]]>", "<b", "<a x='", '="', "<", ">"),
    *("&amp;", "&nbsp", "&lt;", "&#1603;", "&#8207;", "&#x202E;", "&#0;", "&shy;", "&#1617;", "&"),
    *("&amp", "&foo;", "&#", ";", "'", '"', "=", "/", "x", "\n", "\r\n", "\n\n", " ", "\u00a0"),
    *("كلمة", "ال", "ﻻ", "ا", "\u0653", "ّ", "َ", "\u200f", "\u2067", "١", "e", "\u0301", "ـ"),
]  # fmt: skip
pages = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(exclude_categories=["Cs"]))),
    max_size=30,
).map("".join)


def composed(raw: str) -> tuple[str, OffsetMap, Visible]:
    visible = visible_text(raw)
    text, offsets = display_text(visible.text)
    return text, offsets if visible.offsets is None else offsets.then(visible.offsets), visible


@settings(max_examples=500, deadline=None)
@given(pages, st.data())
def test_display_of_a_page(raw: str, data: st.DataObject):
    """The display layer of a page has no control or bidi character, out of a reference neither;
    its map is monotone; a span that cuts no reference, ligature or composed letter displays, line
    ends and spaces alike, as the raw span it maps to.
    """
    text, offsets, _ = composed(raw)
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Co")]
    assert not set(text) & set("\u200b\u200e\u200f\u061c\u202a\u202e\u2066\u2069\ufeff\u00ad")
    assert len(offsets) == len(text)
    spans = [offsets.span(at, at + 1) for at in range(len(text))]
    assert all(0 <= start < end <= len(raw) for start, end in spans)
    assert spans == sorted(spans)
    assert [end for _, end in spans] == sorted(end for _, end in spans)
    inner = (at for at in range(1, len(text)) if spans[at - 1][1] <= spans[at][0])
    cuts = [0, *inner, len(text)]
    low = data.draw(st.sampled_from(cuts))
    high = data.draw(st.sampled_from(cuts))
    if low >= high or text[low].isspace() or text[high - 1].isspace():
        return
    start, end = offsets.span(low, high)
    source = raw[start:end]
    # Cut here, &ampere is &amp, and ]]> has lost its <![CDATA[.
    if not re.search(r"&\w*\Z", source) and "]]>" not in source:
        assert displayed(source).split() == text[low:high].split()


@settings(max_examples=300, deadline=None)
@given(pages)
def test_every_character_is_text_or_markup(raw: str):
    """What a reader sees and the markup together are the raw text, each character once."""
    visible = visible_text(raw)
    offsets = OffsetMap.identity(len(raw)) if visible.offsets is None else visible.offsets
    assert len(offsets) == len(visible.text)
    seen = {offsets.span(at, at + 1) for at in range(len(visible.text))}
    covered = sorted(seen.union(visible.markup))
    assert [start for start, _ in covered] == [0, *(end for _, end in covered)][: len(covered)]
    assert not covered or covered[-1][1] == len(raw)


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=["Cs"])))
def test_plain_text_costs_nothing(raw: str):
    """Without < and & the text is the raw text itself, and no map is made."""
    visible = visible_text(raw)
    assert visible.text is raw
    assert (visible.offsets, visible.markup) == (None, ())


# --- Hostile text ---------------------------------------------------------------------------------

HOSTILE = [
    *("<", "&", "<b", "<a ", "<!--", "<script>", "</script ", "<script></script ", "<![CDATA["),
    *("]]>", "<!doctype ", "<a b=", "<a b='", "<a \"b=\"", "<a b\"c=\"", "<a x='\"", "<a b <a b "),
    *("&#", "&#0", "&a", "&lt;", "<p>", "<p>\r\n", "<pre>\n", "<iframe><!--", "<b/"),
]  # fmt: skip


class Counting:
    """A compiled pattern that counts the characters it was led over."""

    spent = 0

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(text: str, at: int) -> re.Match[str] | None:
            found: re.Match[str] | None = getattr(self._pattern, name)(text, at)
            end = found.end() if found else len(text) if name == "search" else at
            Counting.spent += 1 + end - at
            return found

        return call


@pytest.mark.parametrize("end", ["", "'>", '">', "-->"])
@pytest.mark.parametrize("piece", HOSTILE)
def test_work_is_linear(piece: str, end: str, monkeypatch: pytest.MonkeyPatch):
    """However often something begins that has no end, all patterns together are led over each
    character a few times only.
    """
    text = piece * (8192 // len(piece)) + end
    for name, value in list(vars(markup).items()):
        if isinstance(value, re.Pattern) and name not in ("_WRAP", "_BESIDE_BREAK"):
            monkeypatch.setattr(markup, name, Counting(value))
    closing = {name: Counting(pattern) for name, pattern in markup._CLOSING.items()}
    monkeypatch.setattr(markup, "_CLOSING", closing)
    Counting.spent = 0
    visible_text(text)
    assert Counting.spent < 6 * len(text)


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_mebibyte_of_it_ends(piece: str):
    """A MiB of what begins and never ends is taken, and nothing of it gets lost untold."""
    raw = piece * (MIB // len(piece))
    visible = visible_text(raw)
    assert len(visible.text) + sum(end - start for start, end in visible.markup) <= 2 * len(raw)
