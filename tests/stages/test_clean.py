"""The parts of a page: what is text, what is furniture, and that nothing vanishes untold."""

import os
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.records import Article, Passage, Time
from pipelines.stages.arabic.furniture import LINE_RULES
from pipelines.stages.arabic.layers import display_text
from pipelines.stages.clean import clean
from pipelines.stages.markup import visible_text
from pipelines.stages.normalize import normalize

SHARED = Path(os.environ.get("KHABAR_SHARED", Path(__file__).parents[3] / "shared"))
SEEDS = SHARED / "data" / "seeds"
TITLE = "افتتاح جسر جديد فوق النهر"
FIRST = (
    "افتتح وزير النقل صباح اليوم جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل "
    "المتواصل الذي شاركت فيه شركات محلية عدة."
)
SECOND = (
    "وقال الوزير إن الجسر سيخفف الازدحام في وسط المدينة، "
    "مضيفاً أن العمل في طريق ثانٍ يبدأ في الشهر المقبل."
)


def cleaned(body: str, title: str = "", **fields: str) -> Article:
    return clean(Article("x", raw_title=title, raw_body=body, **fields))


def kinds(article: Article) -> list[tuple[str, str]]:
    return [(f.kind, article.raw_body[f.start : f.end]) for f in article.display.furniture]


def test_a_page_from_top_to_bottom():
    """Headline, repetition, outlet, date, byline, caption and labels come off; the text stays."""
    body = "\r\n".join(
        [
            TITLE,
            "",
            "افتتاح  جسر جديدٍ فوق النهر",
            "شام إف إم - سامر الأحمد:",
            "السبت 11/نوفمبر/2017 - 12:04 ص",
            "سامر الأحمد",
            "طباعة",
            "الجسر الجديد عند افتتاحه (فرانس برس)",
            "+ الخط -",
            "\u00a0",
            FIRST,
            SECOND,
            "المصدر: الأخبار",
            "المساهمون",
        ]
    )
    article = cleaned(body)
    display = article.display
    assert display.title.text == TITLE
    assert display.title.field == "raw_body"
    assert display.body.text == f"{FIRST}\n\n{SECOND}"
    assert display.standfirst.text == ""
    assert display.outlet == "شام إف إم"
    assert display.byline == "سامر الأحمد"
    assert display.agency == ""  # the photo is the agency's, the text is not
    assert display.captions == ("الجسر الجديد عند افتتاحه (فرانس برس)",)
    assert [kind for kind, _ in kinds(article)] == [
        "title-repeat", "outlet", "date", "byline", "share", "caption", "share", "source",
        "contributors",
    ]  # fmt: skip
    assert article.published.utc == 1510358640000


@pytest.mark.parametrize(
    ("prefix", "kind", "fact"),
    [
        ("الرياض - واس: ", "dateline", {"dateline": "الرياض", "agency": "واس"}),
        ("بيروت (أ ف ب) - ", "dateline", {"dateline": "بيروت", "agency": "فرانس برس"}),
        ("(رويترز) - ", "agency", {"agency": "رويترز"}),
        ("سامر الأحمد- سبق- جدة: ", "dateline", {"dateline": "جدة", "byline": "سامر الأحمد"}),
    ],
)
def test_a_dateline_comes_off_the_first_paragraph(prefix: str, kind: str, fact: dict[str, str]):
    """Place, agency and author before the first sentence are told and taken off."""
    article = cleaned(prefix + FIRST, TITLE)
    assert article.display.body.text == FIRST
    assert kinds(article) == [(kind, prefix)]
    assert {name: getattr(article.display, name) for name in fact} == fact


@pytest.mark.parametrize(
    "start",
    ["وقال الوزير: ", "طهران: ", "رويترز: ", "دمشق - بيروت: ", "في بيروت - أ ف ب: ", "بيروت - "],
)
def test_what_may_be_text_stays(start: str):
    """A colon or a dash alone makes no dateline."""
    article = cleaned(start + FIRST, TITLE)
    assert article.display.body.text == start + FIRST
    assert not article.display.furniture


@pytest.mark.parametrize(
    ("end", "agency", "left"),
    [
        (" (واس)", "واس", ""),
        (" (أ. ف. ب).", "فرانس برس", "."),
        ("\n(رويترز)", "رويترز", ""),
        ("\nد ب أ", "د ب أ", ""),
        (" (آب)", "", " (آب)"),
        (" (جدة)", "", " (جدة)"),
    ],
)
def test_an_agency_comes_off_the_end(end: str, agency: str, left: str):
    """The agency in brackets, or on a line of its own, is credit; أ ب is not the month آب."""
    article = cleaned(f"{FIRST}\n{SECOND}{end}", TITLE)
    assert article.display.agency == agency
    assert article.display.body.text == f"{FIRST}\n\n{SECOND}{left}"


def test_the_author_of_the_message_is_no_text():
    """The message's author at the text's start, alone or before a colon, is a byline."""
    for start in ("سبق - الدوائر: ", "سبق - الدوائر:\n"):
        article = cleaned(start + FIRST, TITLE, author="سبق - الدوائر:")
        assert article.display.body.text == FIRST


def test_a_standfirst_is_a_summary_without_full_stop():
    """A first paragraph that stands apart and ends without a full stop is the standfirst."""
    summary = FIRST.rstrip(".")
    third = SECOND.removeprefix("و")
    article = cleaned(f"{summary}\n\n{third}\n\n{SECOND}")
    assert article.display.title.text == ""
    assert article.display.standfirst.text == summary
    assert article.display.body.text == f"{third}\n\n{SECOND}"
    joined = cleaned(f"{summary}.\n\n{third}\n\n{SECOND}")
    assert joined.display.standfirst.text == ""
    assert normalize(article).match.content_hash == normalize(joined).match.content_hash


def test_a_given_title_is_the_title():
    """The message's title wins; its repetition in the body is furniture; verse is not."""
    article = cleaned(f"{TITLE}\n{FIRST}", f" {TITLE} ")
    assert article.display.title.field == "raw_title"
    assert article.display.title.text == TITLE
    assert kinds(article) == [("title-repeat", TITLE)]
    poem = cleaned("يا ليل الصب متى غده\nأقيام الساعة موعده", "يا ليل الصب متى غده")
    assert not poem.display.furniture


def test_a_sentence_is_no_headline():
    """A first line with a full stop, or as long as a paragraph, or with nothing after it, stays."""
    for body in (f"{FIRST}\n{SECOND}", TITLE, f"{TITLE}.\n{FIRST}", f"{TITLE}:\n{FIRST}"):
        assert cleaned(body).display.title.text == ""


def test_furniture_alone_is_text():
    """A message that says nothing else keeps what it says."""
    assert cleaned("طباعة").display.body.text == "طباعة"
    assert cleaned("طباعة", TITLE).display.body.text == ""


def test_the_messages_own_time_wins():
    """A date in the text fills an empty publication time and never replaces one."""
    body = f"{TITLE}\n01 نوفمبر 2017\n{FIRST}"
    own = Time(5, "x", "given", 1.0)
    assert clean(Article("x", raw_body=body, published=own)).published == own
    assert cleaned(body).published.text == "01 نوفمبر 2017"
    unread = Time(None, "2 نوفمبر 2017")
    read = clean(Article("x", raw_body=body, published=unread)).published
    assert read.utc == datetime(2017, 11, 2, tzinfo=UTC).timestamp() * 1000


def test_foreign_text_keeps_its_lines():
    """In another language the parts are cut, and only a repeated title goes."""
    text = "The minister said that the bridge is open to the people of the town."
    article = cleaned(f"A bridge\nA  bridge\nReuters\n{text}")
    assert article.display.language == "en"
    assert article.display.title.text == "A bridge"
    assert article.display.body.text == f"Reuters\n\n{text}"


# --- Properties of whole pages ------------------------------------------------------------------


any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\n\r :-–()ـ.ًﻻاليو٠1\u200f\u00a0"),
    ),
    max_size=80,
)
NOISE = ["", "", "", "ـ", "َ", "ِّ", "\u200f", "\u200b", "\ufeff"]
GAPS = [" ", " ", "  ", "\u00a0", "\t", "\r\n", "\n", "\r\n\u00a0\r\n", "\u2028"]
LINES = [
    TITLE,
    FIRST,
    SECOND,
    "الرياض - واس: " + FIRST,
    "(رويترز)",
    "سامر الأحمد",
    "٠١ نوفمبر ٢٠١٧",
]
LINES += [rule.example for rule in LINE_RULES] + ["الجسر الجديد عند افتتاحه (فرانس برس)", "\u00a0"]

TAGS = ["<b>", "</b>", "<!-- <p> -->", "<a href='?a>b&amp;c'>", "</a>", "<script>'<p>'</script>"]
BLOCKS = [("<p>", "</p>\n"), ("<div class=x>", "</div>"), ("", "<br/>"), ("<td>", ""), ("", "\n")]


def raw_spans(passage: Passage) -> list[tuple[int, int, str]]:
    """The raw span and the text of each word of a passage."""
    spans, at = [], 0
    for word in passage.text.split():
        at = passage.text.index(word, at)
        spans.append((*passage.offsets.span(at, at + len(word)), word))
        at += len(word)
    return spans


def check_trace(article: Article) -> None:
    """Every word leads back to a raw span that displays as it, and every visible raw character is
    in exactly one part or in a piece of furniture; markup may stand within a part.
    """
    seen = {"raw_title": [0] * len(article.raw_title), "raw_body": [0] * len(article.raw_body)}
    for passage in (article.display.title, article.display.standfirst, article.display.body):
        raw = getattr(article, passage.field)
        assert len(passage.offsets) == len(passage.text)
        for start, end, word in raw_spans(passage):
            assert display_text(visible_text(raw[start:end]).text)[0] == word
            for at in range(start, end):
                seen[passage.field][at] += 1
    for item in sorted(article.display.furniture, key=lambda item: item.kind != "markup"):
        assert item.start < item.end
        for at in range(item.start, item.end):
            seen[item.field][at] = 1 + (seen[item.field][at] if item.kind != "markup" else 0)
    for name, counts in seen.items():
        text, offsets, markup = visible_text(getattr(article, name))
        assert all(set(counts[start:end]) == {1} for start, end in markup)
        for at, character in enumerate(text):
            start, end = offsets.span(at, at + 1) if offsets is not None else (at, at + 1)
            if set(counts[start:end]) != {1} and display_text(character)[0]:
                assert unicodedata.category(character)[0] == "M"


@settings(max_examples=150, deadline=None)
@given(any_text, any_text, any_text)
def test_any_text_is_taken(title: str, body: str, author: str):
    """No text makes clean or normalize raise, and each gets a hash of 128 bits."""
    assert (
        len(bytes.fromhex(normalize(cleaned(body, title, author=author)).match.content_hash)) == 16
    )


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([FIRST, f"{TITLE} {SECOND}"]), st.sampled_from(["", TITLE]), st.integers())
def test_noise_leads_back(text: str, title: str, seed: int):
    """With harakat, tatweel, odd spaces, line ends and presentation forms put in, every word of
    the display layer leads back to the raw text that displays as it.
    """
    choose = Random(seed).choice
    forms = {"ا": "ﺍ", "ل": "ﻟ", "م": "ﻣ"}
    noisy = (
        choose(GAPS)
        if character == " "
        else choose([character, forms.get(character, character)]) + choose(NOISE)
        for character in text
    )
    check_trace(cleaned("".join(noisy), title))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=9), st.sampled_from(["", TITLE]))
def test_nothing_vanishes_without_a_trace(lines: list[str], title: str):
    """In pages put together from text and furniture, all that is visible is in one part or listed
    as furniture; paragraphs are parted by exactly one empty line.
    """
    article = cleaned("\n".join(lines), title)
    check_trace(article)
    body = article.display.body.text
    assert "\n\n\n" not in body
    assert all(body.split("\n\n")) or not body
    assert "\n" not in body.replace("\n\n", "")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=9), st.sampled_from(["", TITLE]), st.integers())
def test_nothing_vanishes_from_html(lines: list[str], title: str, seed: int):
    """The same holds for pages in HTML with tags, comments, scripts and references anywhere."""
    choose = Random(seed).choice

    def marked(text: str) -> str:
        return "".join(
            choose([*[letter] * 9, f"&#{ord(letter)};"]) + choose(["", "", "", "", *TAGS])
            for letter in text
        )

    blocks = ((choose(BLOCKS), marked(line)) for line in lines)
    body = "".join(before + line + after for (before, after), line in blocks)
    check_trace(cleaned(body, marked(title)))


def test_furniture_does_not_change_the_hash():
    """Copies that differ in furniture, spelling and white space alone have one content hash."""
    page = cleaned(
        f"{TITLE}\n\n{TITLE}\n01 نوفمبر 2017\nطباعة\nالرياض - واس: {FIRST}\n{SECOND} (واس)"
    )
    bare = cleaned(f"{FIRST.replace('أ', 'ا')}\r\n\r\n{SECOND}", TITLE.replace("ة", "ه"))
    assert normalize(page).match.content_hash == normalize(bare).match.content_hash


# --- The five seed articles, read in place ------------------------------------------------------


@pytest.mark.skipif(not SEEDS.is_dir(), reason=f"no seed articles in {SEEDS}")
@pytest.mark.parametrize(
    ("number", "furniture", "titled", "paragraphs"),
    [
        ("000", [], True, 7),
        ("001", ["title-repeat", "outlet"], True, 9),
        ("002", ["date", "byline", "share"], True, 16),
        ("003", ["source"], False, 8),
        ("004", ["title-repeat", "date", "caption", "share", "contributors"], True, 11),
    ],
)
def test_seeds(number: str, furniture: list[str], titled: bool, paragraphs: int):
    """The parts of the five real articles are what a careful reader would say."""
    path = next(SEEDS.glob(f"{number}_*.txt"))
    article = cleaned(path.read_bytes().decode())
    display = article.display
    check_trace(article)
    assert [item.kind for item in display.furniture] == furniture
    assert bool(display.title.text) == titled
    assert bool(display.standfirst.text) != titled
    assert len(display.body.text.split("\n\n")) == paragraphs
    assert (article.published.utc is not None) == ("date" in furniture)
    assert bool(display.outlet) == (number in ("001", "003"))
    assert bool(display.byline) == (number in ("001", "002"))
    assert len(display.captions) == furniture.count("caption")
    assert display.language == "ar"
    assert replace(clean(article), display=display) == article
