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
@given(any_text, st.data())
def test_display_is_clean_stable_and_leads_back(raw: str, data: st.DataObject):
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
    assert [end for _, end in spans] == sorted(end for _, end in spans)
    cuts = [
        i for i in range(len(text) + 1) if i in (0, len(text)) or spans[i - 1][1] <= spans[i][0]
    ]
    drawn = sorted((data.draw(st.sampled_from(cuts)), data.draw(st.sampled_from(cuts))))
    for low, high in [*zip(cuts, cuts[3:], strict=False), drawn]:
        if low < high and not text[low].isspace() and not text[high - 1].isspace():
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


# Every spelling of a letter that the match layer folds, decomposed ones too.
LETTERS = {
    "ا": ["أ", "إ", "آ", "ٱ", "ا\u0654", "ا\u0655", "ا\u0653"],
    "ي": ["ى", "ی", "ې"],
    "ه": ["ة", "ھ", "ہ", "ە", "ۀ", "ۃ", "ۂ"],
    "ك": ["ک", "گ", "ڪ"],
    "ب": ["پ"],
    "ج": ["چ"],
    "ف": ["ڤ"],
    "ء": ["ؤ", "ئ", "و\u0654", "ي\u0654"],
    "e": ["E", "ｅ", "Ｅ"],
    "ß": ["ss", "SS", "ẞ"],
}
DIGITS = {
    str(digit): [chr(zero + digit) for zero in (0x660, 0x6F0, 0x966, 0xFF10)] for digit in (1, 2)
}
BETWEEN = {
    '"': ["«", "»", "“", "”", "„", "(", "]"],
    " ": ["  ", "\u00a0", "\u3000", "\t", " \u200f", "\n", "\r\n", "\u2028", "\n\n\n"],
    "-": ["–", "—", "ـ", "ــ", "/", "…", "،", "؟", "%", "€", "😀"],
}
MARKS = [
    *map(chr, (*range(0x610, 0x61B), *range(0x64B, 0x660), 0x670, *range(0x6D6, 0x6EE))),
    *map(chr, range(0x8D3, 0x900)),
]
HARAKAT = [mark for mark in MARKS if mark not in "\u0653\u0654\u0655"]  # those make letters
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u200e", "\u2067", "\ufeff", "\u00ad", "\x00", "\ue000"]
LIGATURES = [("لا", "ﻻ"), ("لأ", "ﻷ"), ("لإ", "ﻹ"), ("لآ", "ﻵ"), ("الله", "ﷲ"), ("محمد", "ﷴ")]


def _forms() -> dict[str, list[str]]:
    """Letters with their presentation forms: those that stand for one letter."""
    forms: dict[str, list[str]] = {}
    for point in (*range(0xFB50, 0xFBB2), *range(0xFBD3, 0xFC00), *range(0xFE80, 0xFEF5)):
        letter = unicodedata.normalize("NFKC", chr(point))
        if len(letter) == 1 and letter != chr(point):
            forms.setdefault(letter, []).append(chr(point))
    return forms


FORMS = _forms()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text("ابتجفهكلمنيوءe12", min_size=2, max_size=8),
            st.sampled_from(["الله", "محمد", "لأن", "لآل", "ß2"]),
        ),
        min_size=1,
    ),
    st.integers(),
)
def test_spellings_meet_in_the_match_layer(words: list[str], seed: int):
    """Every listed spelling variation makes no difference in the match layer: letters' variants,
    composed or not, presentation forms and ligatures, case, width, marks, tatweel, digits, quotes,
    dashes and other punctuation, spaces, line ends, controls.
    """
    random = Random(seed)

    def any_of(same: str, others: list[str]) -> str:
        return random.choice([same, *others])

    plain = " - ".join(f'"{word}"' if len(word) == 3 else word for word in words)
    varied = ""
    for character, after in zip(plain, plain[1:] + " ", strict=True):
        letter = any_of(character, LETTERS.get(character, []))
        varied += any_of(
            letter, DIGITS.get(letter, []) + BETWEEN.get(letter, []) + FORMS.get(letter, [])
        )
        if character.isalpha():
            varied += any_of("", random.sample(HARAKAT, 2))
            if after.isalpha():
                varied += any_of("", ["ـ", "ــ", *random.sample(INVISIBLE, 2)])
    for letters, ligature in LIGATURES:
        varied = any_of(varied, [varied.replace(letters, ligature)])
    display, _ = display_text(varied)
    assert match_text(display)[0] == match_text(plain)[0]
    assert match_text(plain)[0] == match_text(match_text(plain)[0])[0]


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
        # NFKC and casefold
        ("ﺩﻣﺸﻖ", "دمشق"),
        ("ﷲ أكبر", "الله أكبر"),
        ("ﻻ", "لا"),
        ("محمد ﷺ نبيا", "محمد صلى الله عليه وسلم نبيا"),
        ("Straße", "STRASSE"),
        ("cafe\u200d\u0301", "caf\u00e9"),
        ("½ متر", "1⁄2 متر"),
        ("م²", "م2"),
        # a lone tatweel run is a dash
        ("العراقية ــ السورية", "العراقية - السورية"),
        ("(ـ واس ـ)", "واس"),
        ("1437ـ1441", "1437-1441"),
        ("15ـ تأجيل", "15- تأجيل"),
        # a clitic joins its word
        ('لـ"العربي الجديد"', "للعربي الجديد"),
        ('لـ"العَربي', "للعربي"),
        ("لـ«اللجنة»", "للجنة"),
        ("لـ«الَّلجنة»", "للجنة"),
        ('لـ "سبق"', "لسبق"),
        ("لــ«سبق»", "لسبق"),
        ("لِـ«قسد»", "لقسد"),
        ("وَلِـ«قسد»", "ولقسد"),
        ("وبـ«الحشد»", "وبالحشد"),
        ("كـ”الحشد”", "كالحشد"),
        ("و«الحشد»", "والحشد"),
        ("لـ(قوات", "لقوات"),
        ("بـ 300 جندي", "ب300 جندي"),
        ("الـ 24 ساعة", "ال24 ساعة"),
        ("الـ«بوينغ»", "البوينغ"),
        ("وبالـ“يورو”", "وباليورو"),
        ("للـ(فيفا)", "للفيفا"),
        # marks and tatweel
        ("مُحَمَّد", "محمد"),
        ("هٰذا", "هذا"),
        ("عيسىٰ", "عيسى"),
        ("بِسۡمِ ٱللَّهِ", "بسم الله"),
        ("ٱلۡعَٰلَمِينَۖ", "العلمين"),
        ("لَهُۥ بِهِۦ", "له به"),
        ("محـــمد", "محمد"),
        ("1436هـ.", "1436ه."),
        # letters
        ("أبيض", "ابيض"),
        ("إلى آل ٱلبيت", "الى ال البيت"),
        ("ا\u0653ل ا\u0654حمد", "ال احمد"),
        ("علي", "على"),
        ("ایران", "ايران"),
        ("عربې", "عربي"),
        ("الزلة", "الزله"),
        ("ھذه الھيئة", "هذه الهيئة"),
        ("سنہ وسنۃ", "سنه وسنة"),
        ("کركوك", "كركوك"),
        ("گوگل", "كوكل"),
        ("پوتين", "بوتين"),
        ("چاد", "جاد"),
        ("ڤيينا", "فيينا"),
        ("مسؤول", "مسئول"),
        ("الشؤون", "الشئون"),
        ("يشاؤون", "يشاءون"),
        ("هيي\u0654ة", "هيئة"),
        # digits
        ("١", "1"),
        ("۲۰۲۵", "2025"),
        ("٣٫٥ و١٬٠٠٠", "3.5 و1,000"),
        # punctuation
        ("«داعش»", '"داعش"'),
        ("أ.ف.ب", "أ ف ب"),
        ("نعم؟! لا…", "نعم لا"),
        ("50% = 5€", "50 5"),
    ],
)
def test_pairs_that_meet(one: str, other: str):
    """What two newsrooms write differently has one match layer."""
    assert match_text(display_text(one)[0])[0] == match_text(other)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("سورية", "سوريا"),  # an alias
        ("12", "13"),
        ("1437ـ1441", "14371441"),
        ("قال علي", "علي قال"),
        ("دير الزور", "ديرالزور"),  # but one key
        ("فئة", "فيه"),
        ("رؤي", "روي"),
        ("آل سعود", "السعود"),
        ("الـ«رياض»", "للرياض"),
        ("لـالتزام", "للتزام"),  # a stretched word is no clitic and name
    ],
)
def test_pairs_that_stay_apart(one: str, other: str):
    """Aliases, numbers, word order and word boundaries are no matter of spelling."""
    assert match_text(one)[0] != match_text(other)[0]


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: f"U+{ord(mark):04X}")
def test_no_mark_is_left(mark: str):
    """Each listed mark goes, wherever it stands."""
    assert match_text(f"ب{mark}ت {mark} ث{mark}")[0] == "بت ث"


def test_all_decimal_digits_are_ascii():
    """A digit of any script is the same digit; none becomes another."""
    digits = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Nd"]
    assert match_text("".join(digits))[0] == "".join(str(unicodedata.decimal(d)) for d in digits)


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
