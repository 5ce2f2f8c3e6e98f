"""Who and where a credit such as `الرياض - واس` names, by a table of agencies, outlets and places.

What is not in the table is a person at most, and only where nothing else reads like it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.stages.arabic.layers import match_text

_DATA = Path(__file__).parent.parent / "data" / "credits.tsv"


@dataclass(frozen=True, slots=True)
class Credit:
    """What a credit such as `الرياض - واس` names; `known` and `unknown` count its parts."""

    outlet: str = ""
    byline: str = ""
    agency: str = ""
    dateline: str = ""
    desk: str = ""
    known: int = 0
    unknown: int = 0

    @property
    def kind(self) -> str:
        """The kind of furniture that a line with this credit is."""
        for kind in ("dateline", "agency", "outlet", "byline"):
            if getattr(self, kind):
                return kind
        return "desk"

    def is_line(self, *, colon: bool) -> bool:
        """Whether a line of its own with this credit is furniture; `colon`: it ended in one."""
        if self.known + self.unknown == 1:
            return bool(self.agency) or (colon and bool(self.dateline))
        if not self.known:
            return colon
        return self.unknown > 0 or self.names_sender

    def is_prefix(self, *, colon: bool) -> bool:
        """Whether this credit before a paragraph's first sentence is a dateline."""
        if colon:
            return self.known + self.unknown > 1 and self.known > 0 and self.names_sender
        return self.unknown == 0 and bool(self.agency)

    @property
    def names_sender(self) -> bool:
        """Whether it names more than places."""
        return bool(self.agency or self.outlet or self.byline or self.desk)


def _read_names() -> dict[str, tuple[str, str]]:
    names: dict[str, tuple[str, str]] = {}
    for line in _DATA.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        kind, name, *spellings = line.replace("|", "\t").split("\t")
        for spelling in (name, *spellings):
            names.setdefault(match_text(spelling)[0], (kind, name))
    return names


def _named(text: str) -> tuple[str, str]:
    """Kind and canonical name of what `text` names; empty when the table does not know it."""
    return _NAMES.get(match_text(text)[0], ("", ""))


_NAMES = _read_names()
_PART_END = re.compile(r"\s*(?:[-–—|/:()\[\]«»\"“”]|(?<!\w)ـ+(?!\w))+\s*")
_NAME = r"[^\W\d_](?:[^\W\d_]|[\u064b-\u0652])*\.?"
_PERSON = re.compile(rf"{_NAME}(?:،? {_NAME}){{1,8}}")
# No name has these words; a part with one of them is a sentence.
_SENTENCE = re.compile(
    r"(?<!\w)(?:في|من|على|إلى|الى|عن|أن|إن|مع|قال|قالت|وقال|أعلن|أعلنت|أكد|كان|كانت|هذا|هذه|التي|الذي"
    r"|لا|لم|لن|ما|هل|بين|بعد|قبل|حول|ضد|بعض|كل)(?!\w)"
)
_LONGEST_PART = 45  # characters


def agency_of(text: str) -> str:
    """The canonical name of the agency that `text` names, or an empty string."""
    kind, name = _named(text)
    return name if kind == "agency" else ""


def looks_like_person(text: str) -> bool:
    """Whether the text is two words or more of letters, with no word that only sentences have."""
    return bool(
        len(text) <= _LONGEST_PART and _PERSON.fullmatch(text) and not _SENTENCE.search(text)
    )


def read_credit(text: str) -> Credit | None:
    """Who and where a credit names, its parts being parted by dashes, brackets or colons.

    None when a part is neither in the table of names nor like a person's name.
    """
    found: dict[str, str] = {}
    known = unknown = 0
    parts = [part for part in _PART_END.split(text.strip()) if part]
    if not 1 <= len(parts) <= 4:
        return None
    for part in parts:
        kind, name = _named(part)
        if kind:
            known += 1
            found.setdefault("dateline" if kind == "place" else kind, name)
        elif known and part.isalpha() and part is parts[-1] and "dateline" not in found:
            # One word is no person: `محمد الزامل - سبق - الخرمة` was filed from a small town.
            unknown += 1
            found["dateline"] = part
        elif looks_like_person(part) and "byline" not in found:
            unknown += 1
            found["byline"] = part
        elif looks_like_person(part) and "outlet" not in found:
            # Two unknown names: the outlet stands first, `شام إف إم - محمود عبد اللطيف`.
            unknown += 1
            found["outlet"], found["byline"] = found["byline"], part
        else:
            return None
    return Credit(**found, known=known, unknown=unknown)
