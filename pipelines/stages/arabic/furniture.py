"""What an Arabic news page prints around an article: the rules of `data/furniture.tsv`.

Whether the groups of a rule hold (an agency, a known place) is read here as well.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, cast

from pipelines.records import FurnitureKind
from pipelines.stages.arabic.credits import (
    agency_of,
    begins_like_person,
    credits_photo,
    is_place,
    is_unknown,
    looks_like_person,
    may_be_credit,
    outlet_of,
)

Where = Literal["head", "tail", "any", "list", "start", "end"]

_DATA = Path(__file__).parent.parent / "data" / "furniture.tsv"
_LONGEST_LINE = 200  # characters; no line of furniture is longer
_LONGEST_START = 90
_LONGEST_END = 800  # a list of headlines run together
# Behind these an agency's short name is part of the sentence: ذكرت وكالة الأنباء السعودية (واس).
_AGENCY_SENTENCE = re.compile(r"(?:وكال[ةه]|الأنباء)(?!\w)[^.!؟?…:\n]*\Z")
_LONGEST_SENTENCE = 80


class Rule(NamedTuple):
    """A row of the table, which says how to read it."""

    kind: FurnitureKind
    where: Where
    begins: tuple[str, ...]
    pattern: re.Pattern[str]
    example: str


class Found(NamedTuple):
    """Furniture of a kind at `[start, end)` of the text, and the facts that it tells."""

    kind: FurnitureKind
    where: Where
    start: int
    end: int
    facts: dict[str, str]


def _read_rules() -> tuple[Rule, ...]:
    with _DATA.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(
            (line for line in lines if line[0] != "#"), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        next(rows)
        return tuple(
            Rule(
                cast(FurnitureKind, kind),
                cast(Where, where),
                tuple(begins.split()),
                re.compile(rf"(?:{pattern})\Z" if where == "end" else pattern),
                example,
            )
            for kind, wheres, begins, pattern, example in rows
            for where in wheres.split(",")
        )


RULES = _read_rules()


@cache
def _rules(*wheres: Where) -> tuple[tuple[Rule, ...], re.Pattern[str]]:
    """The rules of these places, and one pattern that matches whatever one of them does."""
    rules = tuple(rule for rule in RULES if rule.where in wheres)
    patterns = (re.sub(r"\(\?P<\w+>", "(?:", rule.pattern.pattern) for rule in rules)
    return rules, re.compile("|".join(patterns))


def line_furniture(line: str, *wheres: Where) -> Found | None:
    """What furniture a whole line is, at one of these places of a page."""
    if len(line) > _LONGEST_LINE:
        return None
    rules, either = _rules(*wheres)
    if either.fullmatch(line):
        for rule in rules:
            found = rule.pattern.fullmatch(line)
            if found and (facts := _facts(found)) is not None:
                return Found(rule.kind, rule.where, 0, len(line), facts)
    return None


def start_furniture(text: str, start: int, end: int) -> Found | None:
    """What furniture `text[start:end]` begins with; the spaces behind it are part of it."""
    end = min(end, start + _LONGEST_START)
    for rule in _rules("start")[0]:
        found = rule.pattern.match(text, start, end)
        if found and (facts := _facts(found)) is not None:
            stop = found.end()
            while stop < end and text[stop] == " ":
                stop += 1
            return Found(rule.kind, rule.where, start, stop, facts)
    return None


def end_furniture(text: str, start: int, end: int) -> Found | None:
    """What furniture `text[start:end]` ends with."""
    start = max(start, end - _LONGEST_END)
    for rule in _rules("end")[0]:
        for beginning in rule.begins:
            at = text.find(beginning, start, end)
            while at >= 0:
                found = rule.pattern.match(text, at, end)
                facts = _facts(found) if found else None
                if facts is not None and not _is_said(rule, text, at):
                    return Found(rule.kind, rule.where, at, end, facts)
                at = text.find(beginning, at + 1, end)
    return None


def _is_said(rule: Rule, text: str, at: int) -> bool:
    """Whether the sentence before speaks of the agency that stands at `at`."""
    before = max(0, at - _LONGEST_SENTENCE)
    return rule.kind == "agency" and bool(_AGENCY_SENTENCE.search(text, before, at))


def _facts(found: re.Match[str]) -> dict[str, str] | None:
    """What the groups of a match tell; None when one does not hold what it must."""
    facts: dict[str, str] = {}
    for name, value in found.groupdict().items():
        if value is None:
            continue
        if name == "agency":
            facts["agency"] = agency_of(value)
        elif name == "photo":
            facts["photo"] = "yes" if credits_photo(value) else ""
        elif name == "place":
            facts["dateline"] = value if is_place(value) else ""
        elif name == "sender":
            facts["sender"] = value if is_unknown(value) else ""
        elif name == "source":
            if not may_be_credit(value):
                return None
            facts |= _sources(value)
            continue
        elif name == "byline":
            facts["byline"] = value if looks_like_person(value) else ""
        elif name == "person":
            is_person = looks_like_person(value) and begins_like_person(value)
            facts["byline"] = value if is_person else ""
        else:
            facts[name] = outlet_of(value) or value
        if not all(facts.values()):
            return None
    return facts


_AND = re.compile(r"\s*[+،,/&]\s*|\s+و\s?(?=\S)")
SEVERAL = " + "  # parts the outlets that one fact names


def _sources(value: str) -> dict[str, str]:
    """The first agency and the outlets of what stands behind `المصدر:`."""
    facts: dict[str, str] = {}
    outlets = []
    for part in _AND.split(value):
        name = part.strip(' «»"“”()')
        if agency := agency_of(name):
            facts.setdefault("agency", agency)
        elif name:
            outlets.append(outlet_of(name) or name)
    return facts | ({"outlet": SEVERAL.join(outlets)} if outlets else {})
