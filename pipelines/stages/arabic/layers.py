"""The three layers of an Arabic news text: raw is evidence, display is for readers, match is for
comparing. Every layer above raw comes with the exact way back.

Letters are handled as arrays of code points: one table lookup replaces or deletes, and whatever is
not one to one (composition, ligatures, case expansions) is rewritten only where it stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import regex
from numpy.typing import NDArray

from pipelines.offsets import OffsetMap
from pipelines.records import StageError
from pipelines.stages.arabic.formulas import formula_spans

PROFILE = "ar-news/1"

Codes = NDArray[np.uint32]

_SPACE, _LINE = 0x20, 0x0A
_TATWEEL = "\u0640"
# Harakat, Quranic marks and superscript alef; the hamza and madda marks that NFC did not compose.
_HARAKAT = "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0898-\u089f\u08ca-\u08ff"
# ٲ ٳ are letters of the Quran; ھ ہ ۂ ۀ ە ۃ ڪ ٴ come from keyboards made for other languages. None
# of these means anything else in Arabic, and none stands in the Saudi articles.
_LETTER_FOLDS = {
    "ا": "أإآٱٲٳ",
    "ي": "ىیې",
    "ه": "ةھہۂۀەۃ",
    "ك": "کگڪ",
    "ب": "پ",
    "ج": "چ",
    "ف": "ڤ",
    # Not to و and ي: مسؤول and مسئول would stay two words, فئة and فيه become one. Measured in
    # docs/evaluation.md.
    "ء": "ؤئٴ",
}
# A space is no part of these: U+FE70 "isolated fathatan" is a mark on the letter before it.
# Sorting a run of combining marks, as NFC does, takes quadratic time: 50 s for 200,000 of them.
# Unicode's Stream-Safe Text Format (UAX #15) has 30 at most; what the display layer takes out or
# turns into a mark (invisible characters, tatweel, isolated forms) must not join two runs.
_PILE_SIZE = 500
_PILED = r"[[\p{M}\p{C}\u0640\uFC5E-\uFC63\uFE70-\uFE7F]--\s]"
_ANY_PILED = regex.compile(f"(?V1){_PILED}")
_PILE = regex.compile(rf"(?V1)\p{{M}}{_PILED}{{{_PILE_SIZE - 1}}}")
_FORM_RANGES = ((0xFB50, 0xFDEF), (0xFDF0, 0xFDF9), (0xFDFC, 0xFDFC), (0xFE70, 0xFEFC))


def display_text(raw: str) -> tuple[str, OffsetMap]:
    """The display layer of `raw`, with the map from its code points to those of `raw`.

    Line ends become LF, Unicode spaces one space, presentation forms their letters, the whole NFC;
    controls, bidi marks, zero-width and private-use characters go; white space at line ends and
    more than one empty line go. Letters, harakat, digits, quotes, tatweel, ZWJ, ZWNJ and ﷺ stay.
    Idempotent. Raises UnicodeEncodeError for a lone surrogate, which decode refuses.
    """
    if not raw:
        return "", OffsetMap.empty()
    if len(raw) <= _SHORT and _SETTLED.fullmatch(raw):
        return raw, OffsetMap.identity(len(raw))
    source = _encode(raw)
    codes = _DISPLAY.take(source)
    keep = codes != 0
    if "\r\n" in raw:
        keep[:-1] &= (source[:-1] != 0x0D) | (source[1:] != _LINE)
    codes, offsets = _where(keep, codes, OffsetMap.identity(len(codes)))
    text = _decode(codes)
    if len(codes) and codes.max() >= _FORM_RANGES[0][0] and _FORM.search(text):
        text, offsets = _rewritten(text, offsets, _FORM.finditer(text), _letters_of_form)
        codes = _encode(text)
    if not unicodedata.is_normalized("NFC", text):
        text, offsets = _rewritten(text, offsets, _segments(text, codes), _nfc)
        codes = _encode(text)
    return _squeezed(text, codes, offsets)


def match_text(display: str) -> tuple[str, OffsetMap]:
    """The match layer of Arabic text: what two newsrooms may write differently becomes the same.

    Words parted by one space, on one line, without honorifics; the map leads back into `display`.
    Idempotent.
    """
    if not display:
        return "", OffsetMap.empty()
    if len(display) <= _SHORT and _PLAIN.fullmatch(display):
        text = display.translate(_PLAIN_FOLDS)
        if not formula_spans(text):
            return text, OffsetMap.identity(len(text))
    codes = _encode(display).copy()
    if _TATWEEL in display:
        for run in _LONE_TATWEEL.finditer(display):
            codes[run.start() : run.end()] = _SPACE
    for start, end in _clitic_joins(display):
        codes[start:end] = 0
    text, offsets = _folded(codes, _MATCH)
    while spans := formula_spans(text):  # what a formula stood inside of may be another
        text, offsets = _without(spans, text, offsets)
    return text, offsets


def refuse_piles(name: str, text: str) -> None:
    """Raises StageError `marks` for a text, called `name`, that would take minutes to normalize."""
    # A pile covers one of the characters that stand as far apart as it is long.
    if _ANY_PILED.search(text[::_PILE_SIZE]) and (pile := _PILE.search(text)):
        at, size = pile.start(), _PILE_SIZE
        raise StageError(
            "marks", f"{name} has {size} combining marks or more on one letter, at {at}"
        )


def foreign_match_text(display: str) -> tuple[str, OffsetMap]:
    """The match layer of any other language: NFKC, casefold, punctuation to spaces.

    Words parted by one space, on one line; the map leads back into `display`. Idempotent.
    """
    if not display:
        return "", OffsetMap.empty()
    return _folded(_encode(display), _FOREIGN)


def match_key(text: str) -> str:
    """The match layer without spaces: دير الزور and ديرالزور have the same."""
    return match_text(text)[0].replace(" ", "")


# --- Arrays of code points ------------------------------------------------------------------------


def _encode(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _decode(codes: Codes) -> str:
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def _squeezed(text: str, codes: Codes, offsets: OffsetMap) -> tuple[str, OffsetMap]:
    """Runs of white space to one space, one line end or two; none at the text's ends."""
    stripped = text.strip(" \n")
    if len(stripped) < len(text):
        start = len(text) - len(text.lstrip(" \n"))
        end = start + len(stripped)
        text, codes, offsets = stripped, codes[start:end], offsets.slice(start, end)
    has_lines = "\n" in text
    if not has_lines and "  " not in text:
        return text, offsets
    white = codes == _SPACE
    if has_lines:
        white |= codes == _LINE
    keep = np.ones(len(codes), dtype=bool)
    np.logical_not(white[1:] & white[:-1], out=keep[1:])  # the first of each run
    if keep.all():
        return text, offsets
    if has_lines:
        codes = codes.copy()
        edges = (keep[:-1] != keep[1:]).nonzero()[0].tolist()
        for start, last in zip(edges[::2], edges[1::2], strict=True):
            lines = text.count("\n", start, last + 1)
            if lines:
                codes[start] = _LINE
            if lines > 1:
                codes[start + 1] = _LINE
                keep[start + 1] = True
    return _decode(codes[keep]), offsets.where(keep)


def _without(spans: list[tuple[int, int]], text: str, offsets: OffsetMap) -> tuple[str, OffsetMap]:
    """A match layer without `spans`, each of them words and a space beside them."""
    keep = np.ones(len(text), dtype=bool)
    pieces = []
    done = 0
    for start, end in spans:
        keep[start:end] = False
        pieces.append(text[done:start])
        done = end
    pieces.append(text[done:])
    return "".join(pieces), offsets.where(keep)


def _folded(codes: Codes, table: Codes) -> tuple[str, OffsetMap]:
    """A match layer by `table`, then by NFKC and case folding, which it has done for nearly all."""
    codes = table.take(codes)
    offsets = OffsetMap.identity(len(codes))
    codes, offsets = _where(codes != 0, codes, offsets)
    if _UNSETTLED.take(codes).any():
        text = _decode(codes)
        text, offsets = _rewritten(text, offsets, _segments(text, codes), _nfkc_casefold)
        codes = table.take(_encode(text))
        codes, offsets = _where(codes != 0, codes, offsets)
    return _spaced(codes, offsets)


def _spaced(codes: Codes, offsets: OffsetMap) -> tuple[str, OffsetMap]:
    """The text with runs of spaces as one space, none at its ends."""
    white = codes == _SPACE
    spare = white.copy()
    spare[1:] &= white[:-1]  # all but the first of a run, and one at the start
    codes, offsets = _where(~spare, codes, offsets)
    if len(codes) and codes[-1] == _SPACE:
        codes, offsets = codes[:-1], offsets.slice(0, len(codes) - 1)
    return _decode(codes), offsets


def _where(keep: NDArray[np.bool_], codes: Codes, offsets: OffsetMap) -> tuple[Codes, OffsetMap]:
    kept = codes[keep]
    return (codes, offsets) if len(kept) == len(codes) else (kept, offsets.where(keep))


def _segments(text: str, codes: Codes) -> Iterator[re.Match[str]]:
    """The matches of `_SEGMENT`, tried only where one may begin: a search looks everywhere."""
    at = 0
    for place in _BEGINS_SEGMENT.take(codes).nonzero()[0].tolist():
        if place >= at and (match := _SEGMENT.match(text, place)):
            at = match.end()
            yield match


def _rewritten(
    text: str,
    offsets: OffsetMap,
    matches: Iterable[re.Match[str]],
    change: Callable[[str], str],
) -> tuple[str, OffsetMap]:
    """What `change` makes of each match, and of the character before it if the match starts with
    what may join that: all its new characters stand for all its old ones.
    """
    edits = []
    pieces = []
    done = 0
    for match in matches:
        start, end = match.span()
        if start > done and match.lastgroup == "joining":
            start -= 1
        old = text[start:end]
        new = change(old)
        if new == old:
            continue
        edits.append((start, end, len(new)))
        pieces += [text[done:start], new]
        done = end
    pieces.append(text[done:])
    return "".join(pieces), OffsetMap.of_edits(len(text), edits).then(offsets)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _nfkc_casefold(text: str) -> str:
    """Case folding and NFKC until neither changes anything (Unicode 3.13, toNFKC_Casefold)."""
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", text)


def _letters_of_form(form: str) -> str:
    return unicodedata.normalize("NFKC", form).replace(" ", "")


# --- Arabic -------------------------------------------------------------------------------------

_LETTER = rf"(?:[^\W\d_]|[{_HARAKAT}])"  # or a mark on one
_WORD = rf"[\w{_HARAKAT}]"
_MARKS = rf"[{_HARAKAT}]*"
# A run of tatweel that touches no letter is a dash: العراقية ــ السورية, 2014ـ2015.
# The pattern starts with its literal, which a search finds quickly.
_LONE_TATWEEL = re.compile(rf"{_TATWEEL}(?<!{_LETTER}{_TATWEEL}){_TATWEEL}*(?!{_LETTER})")
_OPENING = "\"'“”„‘’«»‹›(\\[{"
_GAP = f"[{_TATWEEL}{_OPENING}]"
# What may part a clitic from its word: لـ"العربي", لـ داعش, و«الحشد». The look back at what may end
# a clitic spares a closer look at nearly all other brackets and quotes.
_CLITIC_GAP = re.compile(
    rf"{_GAP}(?<=[وفلبك{_HARAKAT}].){_GAP}*(?:(?<={_TATWEEL}) [{_OPENING}]*)?(?=\w)"
)
# A clitic and the first character of the gap. The article is one before a tatweel only, الـ 24:
# else ال is آل, the house of.
_CLITIC = re.compile(
    rf"(?<!{_WORD})(?:[وف]{_MARKS}.|(?:[وف]{_MARKS})?(?:[بك]{_MARKS}.|(?P<to>ل){_MARKS}."
    rf"|(?:(?:[بك]{_MARKS})?ا|ل){_MARKS}ل{_MARKS}{_TATWEEL}))\Z"
)
_LONGEST_CLITIC = 12  # characters looked at before a gap: four letters with their harakat
_STRETCH = rf"[{_HARAKAT}{_TATWEEL}]*"
_ARTICLE = re.compile(rf"ا{_STRETCH}(?:ل{_STRETCH})?(?=ل)")


def _clitic_joins(display: str) -> Iterator[tuple[int, int]]:
    """The spans to delete so that clitics join their words as they do without quotes.

    ل swallows the article's alef, and its lam too before another: لـ"العربي" is للعربي,
    لـ"اللجنة" is للجنة.
    """
    for gap in _CLITIC_GAP.finditer(display):
        start, end = gap.span()
        if not gap.group().strip(_TATWEEL):  # a word stretched: those go anyway
            continue
        clitic = _CLITIC.search(display, max(0, start - _LONGEST_CLITIC), start + 1)
        if clitic is None:
            continue
        if clitic["to"] and (article := _ARTICLE.match(display, end)):
            end = article.end()
        yield start, end


# --- Tables -------------------------------------------------------------------------------------


def _span_class(points: Iterable[int]) -> str:
    """The inside of a regular expression's character class holding these code points."""
    spans: list[list[int]] = []
    for point in sorted(points):
        if spans and point == spans[-1][1] + 1:
            spans[-1][1] = point
        else:
            spans.append([point, point])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in spans)


def _assigned() -> list[tuple[str, str]]:
    """The assigned characters that any rule may touch, each with its general category.

    Left out: ideographs, Hangul syllables and Tangut, which stand for themselves in every layer,
    and private use, which is handled by range.
    """
    ranges = (
        (0x0, 0x3400),
        (0x4DC0, 0x4E00),
        (0xA000, 0xAC00),
        (0xD7B0, 0xD800),
        (0xF900, 0x17000),
        (0x18800, 0x20000),
        (0x2F800, 0x2FA20),
        (0xE0000, 0xE0200),
    )
    characters = [chr(point) for low, high in ranges for point in range(low, high)]
    pairs = [(character, unicodedata.category(character)) for character in characters]
    return [pair for pair in pairs if pair[1] != "Cn"]


_PRIVATE_USE = (slice(0xE000, 0xF900), slice(0xF0000, 0x110000))
_LINE_ENDS = "\n\v\f\r\x85\u2028\u2029"
_INVISIBLE = (
    "\u200b\u2060\ufeff\u00ad\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e"
    "\u2066\u2067\u2068\u2069"
)
# Variation selectors and enclosing marks: what is left of an emoji when it has become a space.
_EMOJI_MARKS = {*range(0x20D0, 0x2100), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


def _display_table(assigned: list[tuple[str, str]]) -> Codes:
    table = np.arange(0x110000, dtype=np.uint32)
    for area in _PRIVATE_USE:
        table[area] = 0
    for character, category in assigned:
        if character in _LINE_ENDS:
            table[ord(character)] = _LINE
        elif category == "Zs" or character == "\t":
            table[ord(character)] = _SPACE
        elif category == "Cc" or character in _INVISIBLE:
            table[ord(character)] = 0
    return table


def _foreign_table(assigned: list[tuple[str, str]], changes: dict[int, str]) -> Codes:
    table = np.arange(0x110000, dtype=np.uint32)
    for area in _PRIVATE_USE:
        table[area] = 0
    for character, category in assigned:
        point = ord(character)
        if category[0] in "ZPS" or character == "\t" or character in _LINE_ENDS:
            table[point] = _SPACE
        elif category in ("Cc", "Cf") or point in _EMOJI_MARKS:
            table[point] = 0
        elif len(folded := changes.get(point, "")) == 1:
            table[point] = ord(folded)
    return table


def _match_table(assigned: list[tuple[str, str]], foreign: Codes) -> Codes:
    letters = np.arange(0x110000, dtype=np.uint32)
    for letter, variants in _LETTER_FOLDS.items():
        for variant in variants:
            letters[ord(variant)] = ord(letter)
    for mark in re.findall(rf"[{_HARAKAT}{_TATWEEL}]", "".join(map(chr, range(0x0600, 0x0900)))):
        letters[ord(mark)] = 0
    for character, category in assigned:
        if category == "Nd":
            letters[ord(character)] = ord("0") + unicodedata.decimal(character)
    # The letters' own rules go first: U+06DD is a format character, U+06DE a symbol.
    return np.where(letters == np.arange(0x110000), letters[foreign], letters).astype(np.uint32)


def _joining(assigned: list[tuple[str, str]]) -> set[int]:
    """Characters that normalization may join to what stands before them."""
    seconds = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # Hangul vowels and finals
    for character, _ in assigned:
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(int(parts[1], 16))
    return {
        ord(character)
        for character, _ in assigned
        if ord(character) in seconds
        or unicodedata.combining(first := unicodedata.normalize("NFKD", character)[0])
        or ord(first) in seconds
    }


def _changes(assigned: list[tuple[str, str]]) -> dict[int, str]:
    """What normalization and case folding make of the characters that they change."""
    folded = ((character, _nfkc_casefold(character)) for character, _ in assigned)
    return {ord(character): to for character, to in folded if to != character}


_ASSIGNED = _assigned()
_DISPLAY = _display_table(_ASSIGNED)
_CHANGES = _changes(_ASSIGNED)
_FOREIGN = _foreign_table(_ASSIGNED, _CHANGES)
_MATCH = _match_table(_ASSIGNED, _FOREIGN)
_FORM = re.compile(f"[{''.join(f'{chr(low)}-{chr(high)}' for low, high in _FORM_RANGES)}]")
_JOINING_POINTS = _joining(_ASSIGNED)
# What table lookups leave to be folded: into several characters (ß, ½), or with its neighbours.
_UNSETTLED = np.zeros(0x110000, dtype=bool)
_UNSETTLED[[*_JOINING_POINTS, *(point for point, to in _CHANGES.items() if len(to) > 1)]] = True
# With the character before it, a stretch that normalizes by itself: marks, or one that changes
# alone and the marks on it. All characters beyond the BMP count as marks, which only makes some
# stretches longer: hundreds of ranges there would slow every search down.
_ASTRAL = r"\U00010000-\U0010ffff"
_JOINING = _span_class(point for point in _JOINING_POINTS if point < 0x10000) + _ASTRAL
_UNSTABLE = _span_class(point for point in _CHANGES.keys() - _JOINING_POINTS if point < 0x10000)
_SEGMENT = re.compile(f"(?P<joining>[{_JOINING}])[{_JOINING}]*|[{_UNSTABLE}][{_JOINING}]*")
# The short way, for most names and titles: words of characters that the display layer keeps, and
# words of letters that the match layer folds one to one.
_SHORT = 120  # characters; an array takes longer to set up
_LETTERS = "\u0621-\u063a\u0641-\u064a"
_KEPT = f"[!-~«»،؛؟“”…{_LETTERS}]+"
_SETTLED = re.compile(f"{_KEPT}(?: {_KEPT})*")
_PLAIN = re.compile(f"[{_LETTERS}]+(?: [{_LETTERS}]+)*")
_PLAIN_FOLDS = {point: chr(_MATCH[point]) for point in range(0x0621, 0x064B) if point != 0x0640}
_BEGINS_SEGMENT = np.zeros(0x110000, dtype=bool)
_BEGINS_SEGMENT[[*_JOINING_POINTS, *_CHANGES]] = True
_BEGINS_SEGMENT[0x10000:] = True
