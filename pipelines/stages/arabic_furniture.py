"""What an Arabic news page prints around an article: rules as data, and who is named in a credit.

A rule takes a line away only when nothing but furniture reads like it; in doubt the line stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pipelines.stages.arabic import match_text

_DATA = Path(__file__).with_name("data") / "credits.tsv"


class LineRule(NamedTuple):
    """A whole line of furniture: `pattern` must match all of it.

    `where`: `head` before the first paragraph of prose, `tail` after the last, `any` everywhere.
    A group named `byline` or `source` holds what the line tells. `example` must match.
    """

    kind: str
    where: Literal["head", "tail", "any"]
    pattern: re.Pattern[str]
    example: str


LINE_RULES = (
    LineRule(
        "share",
        "any",
        re.compile(
            r"طباعة|طباعة المقال|اطبع|مشاركة|شارك|شارك الخبر|مشاركة الخبر|إرسال إلى صديق|حفظ"
            r"|Next Previous|Next|Previous|Share|Print|Tweet"
        ),
        "طباعة",
    ),
    LineRule("share", "any", re.compile(r"[+\-]?\s*(?:الخط|حجم الخط)\s*[+\-]*"), "+ الخط -"),
    LineRule("share", "any", re.compile(r"A\s*[+\-](?:\s*A\s*[+\-]?)*"), "A+ A-"),
    LineRule("more", "tail", re.compile(r"\.{2,}\s*المزيد|المزيد\s*\.{0,}"), "...المزيد"),
    LineRule(
        "related",
        "tail",
        re.compile(r"(?:اقرأ أيض[اًا]+|إقرأ أيض[اًا]+|أخبار ذات صلة|مواضيع ذات صلة)\s*:?"),
        "اقرأ أيضاً:",
    ),
    LineRule("contributors", "tail", re.compile(r"المساهمون\s*:?"), "المساهمون"),
    LineRule(
        "source",
        "tail",
        re.compile(r"(?:المصدر|المصادر|نقلاً عن|نقلا عن)\s*[:：]\s*(?P<source>[^:\n]{2,40}?)\.?"),
        "المصدر: الأخبار",
    ),
    LineRule(
        "byline",
        "head",
        re.compile(
            r"(?:كتب|كتبت|كتبه|بقلم|إعداد|تقرير|تحرير|تحقيق|حوار|ترجمة)\s*(?:[:：/ـ-]+)\s*"
            r"(?P<byline>[^\W\d_][^\d:؟!،.]{3,40})"
        ),
        "كتب: سامر الأحمد",
    ),
    LineRule(
        "byline", "head", re.compile(r"بقلم\s+(?P<byline>[^\d:؟!،.]{4,40})"), "بقلم سامر أحمد"
    ),
    LineRule(
        "contact",
        "tail",
        re.compile(r"(?:[^@\d]{0,30}[: ])?[\w.+-]{1,40}@\w[\w.-]+"),
        "لمراسلة الكاتب: name@example.org",
    ),
)

# A photo's caption ends in its credit: بات المعبر مغلقاً (فرانس برس).
CAPTION = re.compile(
    r"(?P<text>[^\n.]{8,180}?)\s*[(\[]\s*(?:تصوير\s*[:：]?\s*)?(?P<credit>[^()\[\]\n]{2,40})[)\]]"
)
# The agency in brackets after an article's last word.
END_CREDIT = re.compile(
    r" ?(?P<bracket>[(\[] ?(?P<credit>[^()\[\]\n]{2,30}?) ?[)\]]) ?(?P<stop>[.]?)$"
)
# Where a dateline at a paragraph's start may end: الرياض - واس: or بيروت (أ ف ب) -
PREFIX_END = re.compile(r" ?: ?|\)? [-–—ـ]+ |\) ")
SHARE_PREFIX = re.compile(r"(?:Next Previous|Previous Next) (?=[^\n])")
MORE_SUFFIX = re.compile(r"\s*\.{3,}\s*المزيد$")


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
