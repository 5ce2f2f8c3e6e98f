"""Right-to-left text on a terminal: isolated, cut between graphemes, its own bidi controls gone."""

from __future__ import annotations

import regex

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
# Bidi controls, and everything that moves a cursor or a colour: untrusted text stays in its box.
_CONTROLS = regex.compile(r"[\p{Cc}\u200E\u200F\u061C\u202A-\u202E\u2066-\u2069\u2028\u2029]+")
_GRAPHEME = regex.compile(r"\X")
_ELLIPSIS = "…"


def isolated(text: str) -> str:
    """`text` on one line, harmless, in its own direction: neighbours keep their places."""
    return f"{_FIRST_STRONG_ISOLATE}{plain(text)}{_POP_ISOLATE}"


def plain(text: str) -> str:
    """`text` on one line without controls."""
    return _CONTROLS.sub(" ", text).strip()


def cut(text: str, graphemes: int) -> str:
    """At most `graphemes` grapheme clusters of `text`, with … where something is missing."""
    kept: list[str] = []
    for cluster in _GRAPHEME.finditer(text):
        if len(kept) == graphemes:
            return "".join(kept[:-1]) + _ELLIPSIS
        kept.append(cluster.group())
    return text
