"""Untrusted, right-to-left text on a terminal: on one line, harmless, in its own direction, cut
between letters and never within one.
"""

from __future__ import annotations

import unicodedata

import regex

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
# Bidi controls, halves of surrogate pairs (no terminal's encoding takes them), and everything that
# moves a cursor or a colour.
_CONTROLS = r"\p{Cc}\p{Cs}\u200E\u200F\u061C\u202A-\u202E\u2066-\u2069\u2028\u2029"
_OBEYED = regex.compile(f"[{_CONTROLS}]")
_BREAKING = regex.compile(rf"[\s{_CONTROLS}]+")
_GRAPHEME = regex.compile(r"\X")
# What would join the character before the box, and the sign that carries a mark without a letter.
_JOINING = regex.compile(r"[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]")
_CARRIER = "◌"
_ELLIPSIS = "…"
_NO_WIDTH = frozenset(f"\u200c\u200d{_FIRST_STRONG_ISOLATE}{_POP_ISOLATE}")
_EMOJI_SELECTOR = "\ufe0f"
# Code points of one grapheme cluster that are shown; more are stacked marks that would cover the
# lines around. Unicode's Stream-Safe Text Format (UAX #15) allows as many.
_CLUSTER = 30


def isolated(text: str, cells: int | None = None) -> str:
    """`text` as a box on a line: plain, at most `cells` columns wide, its neighbours untouched.

    Unicode's isolates (FSI … PDI) make a terminal that knows bidi order the inside by itself.
    """
    return f"{_FIRST_STRONG_ISOLATE}{plain(text, cells)}{_POP_ISOLATE}"


def plain(text: str, cells: int | None = None) -> str:
    """`text` on one line, without controls, at most `cells` columns wide."""
    harmless = _BREAKING.sub(" ", text).strip()
    if _JOINING.match(harmless):
        harmless = _CARRIER + harmless
    return harmless if cells is None else cut(harmless, cells)


def escaped(line: str) -> str:
    """A line of JSON in which what a terminal may obey is escaped; it means the same."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def label(text: str, cells: int | None = None) -> str:
    """A name that is nearly always ASCII, such as an id: then without the isolates, which whoever
    copies it would copy too.
    """
    return plain(text, cells) if text.isascii() else isolated(text, cells)


def width(text: str) -> int:
    """The columns that `text` takes at most.

    Terminals differ: many show each member of an emoji family, and each half of a flag, by itself.
    """
    return sum(map(_columns, text))


def fitted(line: str, cells: int) -> str:
    """A line of boxes and words of ours, at most `cells` columns wide; a cut box is closed."""
    if width(line) <= cells:
        return line
    shown = cut(line, cells)
    opened = shown.count(_FIRST_STRONG_ISOLATE) - shown.count(_POP_ISOLATE)
    return shown + _POP_ISOLATE * opened


def cut(text: str, cells: int) -> str:
    """What of `text` fits into `cells` columns, whole grapheme clusters, … where some are missing.

    A cluster counts as one column at least, so that invisible ones come to an end too.
    """
    kept: list[tuple[str, int]] = []
    used = 0
    for found in _GRAPHEME.finditer(text):
        cluster = found.group()[:_CLUSTER]
        columns = max(1, width(cluster))
        if used + columns > cells:
            while kept and used + 1 > cells:
                used -= kept.pop()[1]
            return "".join(each for each, _ in kept) + _ELLIPSIS * (cells > 0)
        kept.append((cluster, columns))
        used += columns
    return "".join(each for each, _ in kept)


def pieces(word: str, cells: int) -> list[str]:
    """A word without controls in pieces of at most `cells` columns, cut between grapheme clusters.

    Of a cluster no more is kept than `cut` keeps; one that is too wide becomes …
    """
    found, piece, used = [], "", 0
    for match in _GRAPHEME.finditer(word):
        cluster = match.group()[:_CLUSTER]
        if width(cluster) > cells:
            cluster = _ELLIPSIS
        columns = max(1, width(cluster))
        if piece and used + columns > cells:
            found.append(piece)
            piece, used = "", 0
        piece, used = piece + cluster, used + columns
    return [*found, piece] if piece else found


def _columns(character: str) -> int:
    if character in _NO_WIDTH or unicodedata.category(character) in ("Mn", "Me"):
        return int(character == _EMOJI_SELECTOR)  # it makes a sign of one column an emoji of two
    wide = character >= "\U0001f000" or unicodedata.east_asian_width(character) in "WF"
    return 2 if wide else 1
