"""The display and match layers of text, and their way back to the raw text."""

import unicodedata
from random import Random

import numpy as np
import pytest
from camel_tools.utils.dediac import dediac_ar
from camel_tools.utils.normalize import (
    normalize_alef_ar,
    normalize_alef_maksura_ar,
    normalize_teh_marbuta_ar,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.arabic import layers
from pipelines.stages.arabic.layers import display_text, foreign_match_text, match_key, match_text

# Any text, rich in what the rules are about.
TRICKY = (
    "أإآٱىیېةکگپچڤؤئءـ\"“”«»'(لبكوفاس ًٌَُِّْٰٕٔ\n\r\t\v\x85\u2028\u00a0\u3000\u200b\u200c\u200d"
    "\u200f\u202b\u2066\ufeff\x00\x1a\ue000ﺀﻻﷲﷺﷻ﷽ﹰﱞﭐeE\u0301\u0323ßİŉſ½²①ｆ１١۱९가ᄀ\u1161\u11a8ﾞ"
)
any_text = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(TRICKY)), max_size=60
)


@settings(max_examples=400, deadline=None)
@given(any_text)
def test_display_is_clean_stable_and_leads_back(raw: str):
    """Display has no control or bidi character, is its own display, and its map is monotone; every
    span between two units, without white space at its ends, displays as the raw span it maps to.
    """
    text, offsets = display_text(raw)
    assert display_text(text)[0] == text
    assert unicodedata.is_normalized("NFC", text)
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Co")]
    assert not set(text) & set("\u200b\u200e\u200f\u061c\u202a\u202e\u2066\u2069\ufeff\u00ad")
    assert "  " not in text
    assert "\n\n\n" not in text
    assert text == text.strip(" \n")

    assert len(offsets) == len(text)
    spans = [offsets.span(i, i + 1) for i in range(len(text))]
    assert all(0 <= start < end <= len(raw) for start, end in spans)
    assert spans == sorted(spans)
    cuts = [
        i for i in range(len(text) + 1) if i in (0, len(text)) or spans[i - 1][1] <= spans[i][0]
    ]
    for low, high in zip(cuts, cuts[3:], strict=False):
        if not text[low].isspace() and not text[high - 1].isspace():
            start, end = offsets.span(low, high)
            assert display_text(raw[start:end])[0] == text[low:high]


@settings(max_examples=400, deadline=None)
@given(any_text)
def test_match_is_stable_and_one_line(raw: str):
    """Both match layers are their own match layers, hold no punctuation, and lead back."""
    display, _ = display_text(raw)
    for match in (match_text, foreign_match_text):
        for source in (display, raw):
            text, offsets = match(source)
            assert match(text)[0] == text
            assert not [c for c in text if unicodedata.category(c)[0] in "PS"]
            assert text == " ".join(text.split(" ")).strip()
            assert len(offsets) == len(text)
            assert np.all(np.diff(offsets.starts) >= 0)
            assert all(offsets.span(i, i + 1)[1] <= len(source) for i in range(len(text)))


def test_tables_are_stable():
    """What a table makes of a character, it leaves alone."""
    for table in (layers._DISPLAY, layers._MATCH, layers._FOREIGN):
        assert (table[table] == table).all()


FORMS = {  # letters and their presentation forms
    "ا": "ﺍﺎ", "ل": "ﻝﻟ", "م": "ﻡﻣ", "ن": "ﻥﻧ", "س": "ﺱﺳ", "ع": "ﻉﻋ",
}  # fmt: skip
SPELLINGS = {
    "ا": "اأإآٱ", "ي": "يىی", "ه": "هة", "ك": "كک", "ء": "ؤئء",
    "1": "1١۱", "2": "2٢۲", '"': '"«»“”', " ": [" ", "  ", "\u00a0", " \u200f", "\n", "\r\n"],
}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("البيتهكءمنسعو12", min_size=2, max_size=8), min_size=1), st.integers())
def test_spellings_meet_in_the_match_layer(words: list[str], seed: int):
    """Letters' variants, harakat, tatweel inside a word, digits, quotes, spaces, line ends and
    presentation forms make no difference in the match layer.
    """
    choose = Random(seed).choice
    plain = " ".join(f'"{word}"' if len(word) == 3 else word for word in words)
    varied = ""
    for character, after in zip(plain, plain[1:] + " ", strict=True):
        varied += choose([*SPELLINGS.get(character, character), *FORMS.get(character, "")])
        if character.isalpha():
            varied += choose(["", "", "َ", "ّ", "ِّ", "ٰ"])
            if after.isalpha():
                varied += choose(["", "", "ـ", "ــ", "\u200b"])
    assert match_text(display_text(varied)[0])[0] == match_text(plain)[0]


@pytest.mark.parametrize(
    ("raw", "display"),
    [
        ("a\rb\r\nc\u2028d\u2029e\x85f", "a\nb\nc\nd\ne\nf"),
        ("ا\u00a0\u2003\tب", "ا ب"),
        (" \u00a0\n\nا\n \u00a0\n\n\nب\n", "ا\n\nب"),
        ("ﺩﻣﺸﻖ ﻻ ﷲ", "دمشق لا الله"),
        ("كتابﹰ", "كتابً"),
        ("ا\u0653", "آ"),
        ("ﷺ ﷽ ١٢ «ـ»", "ﷺ ﷽ ١٢ «ـ»"),
        ("\u200fبي\u200cبي\u202c \ue000سي\ufeff", "بي\u200cبي سي"),
    ],
)
def test_display_rules(raw: str, display: str):
    """One example of each display rule."""
    assert display_text(raw)[0] == display


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("أبيض", "ابيض"),
        ("الزلة", "الزله"),
        ("علي", "على"),
        ("١", "1"),
        ("«داعش»", '"داعش"'),
        ("مسؤول", "مسئول"),
        ("الشؤون", "الشئون"),
        ("مُحَمَّد", "محمد"),
        ("محـــمد", "محمد"),
        ("گوگل", "كوكل"),
        ("العراقية ــ السورية", "العراقية - السورية"),
        ('لـ"العربي الجديد"', "للعربي الجديد"),
        ("لـ«اللجنة»", "للجنة"),
        ('لـ "سبق"', "لسبق"),
        ("لِـ«قسد»", "لقسد"),
        ("وبـ«الحشد»", "وبالحشد"),
        ("و«الحشد»", "والحشد"),
        ("لـ(قوات", "لقوات"),
        ("أ.ف.ب", "أ ف ب"),
        ("ﷺ", "صلى الله عليه وسلم"),
        ("Straße", "STRASSE"),
    ],
)
def test_pairs_that_meet(one: str, other: str):
    """What two newsrooms write differently has one match layer."""
    assert match_text(one)[0] == match_text(other)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [("سورية", "سوريا"), ("12", "13"), ("قال علي", "علي قال"), ("دير الزور", "ديرالزور")],
)
def test_pairs_that_stay_apart(one: str, other: str):
    """Aliases, numbers, word order and word boundaries are no matter of spelling."""
    assert match_text(one)[0] != match_text(other)[0]


@settings(max_examples=200, deadline=None)
@given(st.text("أإآٱابتثةهىيكلمنوءًٌٍَُِّْ ", max_size=40))
def test_camel_tools_changes_nothing_that_the_match_layer_does_not(text: str):
    """Where camel-tools' own folding of alef, teh marbuta, alef maksura and harakat is right, the
    match layer does at least as much: texts that it makes equal are equal here."""
    folded = dediac_ar(text)
    for fold in (normalize_alef_ar, normalize_teh_marbuta_ar, normalize_alef_maksura_ar):
        folded = fold(folded)
    assert match_text(display_text(folded)[0])[0] == match_text(display_text(text)[0])[0]


@pytest.mark.parametrize(("one", "other"), [("دير الزور", "ديرالزور"), ("البو كمال", "البوكمال")])
def test_keys_ignore_spaces(one: str, other: str):
    """A key is the match layer without spaces."""
    assert match_key(one) == match_key(other)


def test_match_offsets_lead_to_the_display():
    """A joined clitic's word maps to everything it was written with."""
    text = 'قال لـ"العربي الجديد" إن'
    match, offsets = match_text(text)
    start = match.index("للعربي")
    assert slice(*offsets.span(start, start + 6)) == slice(4, 13)


def test_a_line_is_not_joined_to_the_next():
    """A letter alone at a line's end is no clitic of the quotation that begins the next line."""
    assert match_text('كتب ل\n"العربي الجديد"')[0] == "كتب ل العربي الجديد"
