"""Untrusted, right-to-left text on a terminal: on one line, harmless, in its own direction, cut
between letters and never within one.
"""

from __future__ import annotations

import regex
from rich.cells import cell_len

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
# White space, bidi controls, halves of surrogate pairs (no terminal's encoding takes them), and
# everything that moves a cursor or a colour.
_BREAKING = regex.compile(
    r"[\s\p{Cc}\p{Cs}\u200E\u200F\u061C\u202A-\u202E\u2066-\u2069\u2028\u2029]+"
)
_GRAPHEME = regex.compile(r"\X")
_ELLIPSIS = "…"
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
    return harmless if cells is None else cut(harmless, cells)


def cut(text: str, cells: int) -> str:
    """What of `text` fits into `cells` columns, whole grapheme clusters, … where some are missing.

    A cluster counts as one column at least, so that invisible ones come to an end too.
    """
    kept: list[tuple[str, int]] = []
    used = 0
    for found in _GRAPHEME.finditer(text):
        cluster = found.group()[:_CLUSTER]
        width = max(1, cell_len(cluster))
        if used + width > cells:
            while kept and used + 1 > cells:
                used -= kept.pop()[1]
            return "".join(each for each, _ in kept) + _ELLIPSIS * (cells > 0)
        kept.append((cluster, width))
        used += width
    return "".join(each for each, _ in kept)
