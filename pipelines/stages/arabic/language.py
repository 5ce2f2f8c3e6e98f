"""The language gate: Arabic against the other languages written in its script, and the rest.

Each word that tells something votes, and the language with the most votes has the text: so no
quotation, name or menu in another one decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_TABLE = Path(__file__).parent.parent / "data" / "languages.tsv"
_UNKNOWN = "und"

# A text's start, middle and end of so many characters stand for it, since a page may open with a
# menu and hold a long quotation.
_PIECE = 500
# The short way, for nearly every Arabic text: it has ال often and letters that Arabic lacks rarely.
_ARTICLES = 3
_ARTICLE_EVERY = 60  # characters; in the news it is one in 25
_ARTICLES_PER_LETTER = 5
_ARABIC_SHARE = 0.25  # of the letters: a list of film titles is as Arabic as its headline
_LATIN_SHARE = 0.5
_WORD_VOTE = 4
_NAME_VOTE = 2
_KEY_VOTE = 1  # so that keys decide where hardly anything else does
_LATIN_EVERY = 10  # one word in so many is a frequent one; of running text it is one in three

_NAME_LETTERS = frozenset("پچژگڤ")  # Arabic writes foreign names with them
_LETTER_ARABIC_LACKS = re.compile("[\u0672-\u06d3\u06d5\u06ee-\u06ff\u0750-\u077f]")
_ODD_LETTER = re.compile("[^\u0621-\u063a\u0641-\u064a\u0671]")
_MARKS = re.compile("[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u08d3-\u08ff]")
_ARABIC_WORD = re.compile(
    "[\u0620-\u064a\u066e-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06ff\u0750-\u077f]+"
)
_LATIN_WORD = re.compile("[a-zà-öø-ÿœ]+")
# The article and what is written before it, hamza on an alef, the ending ة: rare in the others.
_ARABIC_SPELLING = re.compile("(?:[وف]?[بك]?ال|[وف]?لل)...|.*[أإ]|.*ة$")


def language_of(display: str) -> str:
    """ISO 639 code of the language that most of a text is in, told from 1,500 of its characters.

    `und` when it has no letters or is in none that is known. A text in Arabic script of which no
    word tells anything is taken as Arabic: of the shortest headlines, the code is a guess.
    """
    sample = _sample(display)
    if _surely_arabic(sample):
        return "ar"
    sample = _MARKS.sub("", sample.lower())
    letters = sum(map(str.isalpha, sample))
    arabic = _ARABIC_WORD.findall(sample)
    if arabic and sum(map(len, arabic)) >= _ARABIC_SHARE * letters:
        return _of_arabic_script(sample)
    latin = _LATIN_WORD.findall(sample)
    if latin and sum(map(len, latin)) >= _LATIN_SHARE * letters:
        return _of_latin_script(latin)
    return _UNKNOWN


def _sample(text: str) -> str:
    if len(text) <= 3 * _PIECE:
        return text
    middle = (len(text) - _PIECE) // 2
    return "\n".join((text[:_PIECE], text[middle : middle + _PIECE], text[-_PIECE:]))


def _surely_arabic(sample: str) -> bool:
    articles = sample.count(" ال")
    if articles < _ARTICLES or articles * _ARTICLE_EVERY < len(sample):
        return False
    return len(_LETTER_ARABIC_LACKS.findall(sample)) * _ARTICLES_PER_LETTER <= articles


def _of_arabic_script(text: str) -> str:
    votes = dict.fromkeys(_LANGUAGES, 0)
    keys_replaced = text.replace("ک", "ك").replace("ی", "ي")
    urdu_replaced = keys_replaced.replace("ہ", "ه").replace("ھ", "ه").replace("ۃ", "ة")
    words = map(_ARABIC_WORD.findall, (text, keys_replaced, urdu_replaced))
    for word, typed, arabic in zip(*words, strict=True):
        weight, languages = _vote(word, typed, arabic)
        for language in languages:
            votes[language] += weight
    return max(votes, key=votes.__getitem__)  # of equal ones the first, so Arabic before all


def _vote(word: str, typed: str, arabic: str) -> tuple[int, Iterable[str]]:
    """The weight of a word's vote, and the languages that have it.

    `typed` is the word with the letters of Arabic keyboards for Persian ones, `arabic` for Urdu
    ones as well.
    """
    if languages := _BY_WORD.get(typed):
        return _WORD_VOTE, languages
    odd = _ODD_LETTER.findall(arabic)
    if odd:
        writers = (_BY_LETTER.get(letter, frozenset()) for letter in odd)
        weight = _NAME_VOTE if _NAME_LETTERS.issuperset(odd) else _WORD_VOTE
        return weight, frozenset.intersection(*writers) or (_UNKNOWN,)
    if _ARABIC_SPELLING.match(arabic) or "ar" in _BY_WORD.get(arabic, ()):
        return _WORD_VOTE, ("ar",)
    if word == arabic:
        return 0, ()
    return _KEY_VOTE, {language for letter in word for language in _BY_KEY.get(letter, ())}


def _of_latin_script(words: list[str]) -> str:
    votes = {
        language: sum(language in _BY_WORD.get(word, ()) for word in words)
        for language in ("en", "fr")
    }
    best = max(votes, key=votes.__getitem__)
    return best if votes[best] * _LATIN_EVERY >= len(words) else _UNKNOWN


def _rows() -> Iterator[tuple[str, str, list[str]]]:
    """The table's language, kind and values."""
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            language, kind, values, _ = line.split("\t")
            yield language, kind, values.split()


def _languages_by(wanted: str) -> dict[str, frozenset[str]]:
    """The languages that have a word or letter of the table, by that word or letter."""
    languages: dict[str, set[str]] = {}
    for language, kind, values in _rows():
        for value in values if kind == wanted else ():
            languages.setdefault(value, set()).add(language)
    return {value: frozenset(those) for value, those in languages.items()}


_LANGUAGES = (*dict.fromkeys(language for language, _, _ in _rows()), _UNKNOWN)
_BY_WORD = _languages_by("words")
_BY_LETTER = _languages_by("letters")
_BY_KEY = _languages_by("keys")
