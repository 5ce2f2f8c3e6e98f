"""The cues of a headline and of a text's first line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.records import Article
from pipelines.stages.arabic.cues import CUES, cues_of
from pipelines.stages.clean import clean

NAMES = {"urgent", "update", "follow_up", "correction", "denial", "withdrawal"}

cues = pytest.mark.parametrize("cue", CUES, ids=lambda cue: cue.example)


@cues
def test_every_cue_is_found(cue):
    """Each row's example has its cue and no other; not behind a word, not in quotation marks."""
    assert cues_of(cue.example) == (cue.name,)
    assert cues_of(f"الوزير {cue.example}") == ()
    assert cues_of(f"«{cue.words.split('|')[0]}» الوزير") == ()


@cues
def test_what_looks_like_a_cue_is_none(cue):
    """An ordinary headline with a cue's word has none."""
    assert cues_of(cue.but) == ()
    assert cues_of(cue.but, cue.but) == ()


@cues
def test_every_word_stands_at_its_places(cue):
    """Each word of a row is found at each place of the row with each sign, and not elsewhere."""
    for words in cue.words.split("|"):
        expected = (cue.name,)
        if "label" in cue.places and not cue.then:
            for headline in (
                f"{words}: حريق في الميناء",
                f"({words}) حريق في الميناء",
                f"{words} | حريق في الميناء",
                f"{words}- حريق في الميناء",
                f"{words}.. حريق في الميناء",
                f"🔴 {words} / حريق في الميناء",
                words,
            ):
                assert cues_of(headline) == expected, headline
        ends = (
            f"حريق في الميناء ({words})",
            f"حريق في الميناء - {words} 2",
            f"حريق في الميناء | {words}",
        )
        for headline in ends if "end" in cue.places else ():
            assert cues_of(headline) == expected, headline
        for headline in (f"حريق في الميناء {words}", f"حريق في «{words}»", f"المدير: {words}!"):
            assert cues_of(headline) == (), headline


@pytest.mark.parametrize(
    ("headline", "found"),
    [
        ("عاجل | تحديث: انفجار وسط المدينة", ("urgent", "update")),
        ("عاجل: انفجار وسط المدينة (تحديث 3)", ("urgent", "update")),
        ("خبر عاجل انفجار وسط المدينة", ("urgent",)),
        ("#عاجل انفجار وسط المدينة", ("urgent",)),
        ("عاجل لوزير الصحة من أهالي الحي", ()),
        ("تحديث 2 - أربعة قتلى في حادث القطار", ("update",)),
        ("تحديث - 2 من القتلى أطفال", ("update",)),
        ("تحديث ثانٍ: أربعة قتلى في حادث القطار", ("update",)),
        ("تحديث ٢: أربعة قتلى في حادث القطار", ("update",)),
        ("تحديث 4 مدارس في المحافظة", ()),
        ("تحديث «أندرويد» يصل إلى الهواتف", ()),
        ("تحديث، لا هدم: خطة للحي القديم", ()),
        ("أربعة قتلى في حادث القطار [محدثة]", ("update",)),
        ("أربعة قتلى في حادث القطار ــ محدث", ("update",)),
        ("إخماد حريق الميناء (الرياض - متابعة)", ()),
        ("تصحيح-الحريق في الميناء القديم لا الجديد", ("correction",)),
        ("تصحيح خبر: الحريق في الميناء القديم", ("correction",)),
        ("سوق العقار: تصحيح!", ()),
        ("تصويب أوضاع العمالة", ()),
        ("اعتذار: ورد في خبر الأمس اسم غير صحيح", ("correction",)),
        ("اعتذار: الوزير يخاطب الأهالي", ()),
        ("تنويه: إغلاق الطريق الدائري ليلاً", ()),
        ("ينفي التهم الموجهة إليه", ("denial",)),
        ("نفت وزارة الصحة ظهور الوباء", ("denial",)),
        ("نفي ما أشيع عن استقالة الوزير", ("denial",)),
        ("نفي الرئيس إلى جزيرة", ()),
        ("نفي الآخر", ()),
        ("تكذب إذا قلت إنك لا تخاف", ()),
        ("إلغاء خبر استقالة الوزير", ("withdrawal",)),
        ("سحب قرعة البطولة", ()),
        ("إلغاء رحلات بسبب الغبار", ()),
        ("متابعة: إخماد حريق الميناء", ("follow_up",)),
        ("الوزير ينفي الاستقالة", ()),
        ("", ()),
        ("...", ()),
    ],
)
def test_headlines(headline: str, found: tuple[str, ...]):
    """Signs and numbers make a label; a sentence, a name or a list makes none."""
    assert cues_of(headline) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("تصويب: الحريق في الميناء القديم.", ("correction",)),
        ("تصويب\nالحريق في الميناء القديم.", ("correction",)),
        ("(تحديث 2) اندلع حريق في الميناء.", ("update",)),
        ("عاجل: اندلع حريق في الميناء.", ("urgent",)),
        ("تنويه: نشرنا أمس خبراً ورد فيه اسم غير صحيح.", ("correction",)),
        ("تنويه: الآراء لأصحابها.", ()),
        ("متابعة: سلمى الخطيب", ()),  # a reporter
        ("نفى الوزير استقالته.", ()),
        ("عاجل اندلع حريق في الميناء.", ()),
        ("اندلع حريق في الميناء.\nتصويب: في الميناء القديم.", ()),
    ],
)
def test_a_label_opens_the_body(body: str, found: tuple[str, ...]):
    """Only a label counts in the text, and only before everything else."""
    assert cues_of("حريق في الميناء", body) == found


WORDS = (
    "عاجل",
    "تحديث",
    "نفي",
    "سحب",
    "خبر",
    ":",
    "|",
    "-",
    "(",
    ")",
    "[",
    "«",
    "ـ",
    "2",
    "\u064e",
)
VARIANTS = {"ا": "اأإآٱ", "ي": "يىی", "ة": "ةه", "ك": "كک", "أ": "أا", "إ": "إا", "ى": "ىي"}


@st.composite
def respelled(draw) -> tuple[str, str]:
    """A row's example in another spelling, with the name of its cue."""
    cue = draw(st.sampled_from(CUES))
    letters = [
        draw(st.sampled_from(VARIANTS.get(letter, letter)))
        + draw(st.sampled_from(("", "\u064e", "\u0651", "\u0640\u064f"))) * letter.isalpha()
        for letter in cue.example
    ]
    return "".join(letters), cue.name


@given(respelled())
def test_spelling_does_not_matter(example: tuple[str, str]):
    """Harakat, tatweel and the spellings that the match layer joins change nothing."""
    headline, name = example
    assert cues_of(headline) == (name,)


def test_harakat_and_tatweel_are_no_sign():
    """A vowel mark or a drawn-out last letter sets no label off."""
    assert cues_of("تحديثُ أنظمة البلدية") == ()
    assert cues_of("تحديثـ أنظمة البلدية") == ()


@given(
    st.lists(st.sampled_from(WORDS)),
    st.text(),
    st.text(),
)
def test_any_line_has_its_cues(words: list[str], before: str, after: str):
    """Nothing raises, and each cue is named once."""
    line = before + " ".join(words) + after
    found = cues_of(line, line)
    assert set(found) <= NAMES
    assert len(set(found)) == len(found)


def test_clean_looks_at_the_headline_and_the_text():
    """An Arabic article has the cues of both; in other languages there are none."""
    body = "تصويب: اندلع الحريق في الميناء القديم، لا في الميناء الجديد كما ورد في خبر سابق."
    article = Article("x", raw_title="حريق في الميناء (تحديث)", raw_body=body)
    assert clean(article).display.cues == ("update", "correction")
    foreign = Article("x", raw_title="عاجل: پل شهر باز شد و مردم از آن می‌گذرند")
    assert clean(foreign).display.cues == ()


def test_the_seeds_have_no_cue(shared: Path):
    """Five articles of ordinary news."""
    paths = sorted((shared / "seeds").glob("*.txt"))
    assert len(paths) == 5
    for path in paths:
        article = Article("x", raw_body=path.read_text(encoding="utf-8"))
        assert clean(article).display.cues == ()
