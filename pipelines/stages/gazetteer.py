"""Names that are known beforehand: the tables in `data/`, loaded once, and the search for their
aliases in a text of the match layer. What a found name means in its article is for `entities`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Literal, NamedTuple, cast

from pipelines.records import EntityType
from pipelines.stages.arabic import match_text

DATA = Path(__file__).with_name("data")
TABLES = ("places.tsv", "groups.tsv", "people.tsv", "countries.tsv", "cities.tsv")

# How far an alias can be trusted by itself; written after it in the tables.
# "" always · "~" not as the adjective of a definite noun · "@" with its country in the article ·
# "?" with a sign of place before it, too · "!" only after a word such as "city of". Whatever the
# mark, once its bearer is named beyond doubt in an article, the name is taken in all of it.
Trust = Literal["", "~", "@", "?", "!"]

PROCLITICS = "وفبلك"
_CONJUNCTIONS = "وف"
_PREPOSITIONS = "بلك"
_MARKS: tuple[Trust, ...] = ("~", "@", "?", "!")
_SHORTEST = 2  # letters left when a proclitic is taken off: وتل أبيض
_SEPARATOR = " zz "  # between names in one call of match_text: a word that it leaves alone


def match_form(text: str) -> str:
    """`text` as the match layer spells it."""
    return match_text(text)[0]


# Common words that a proclitic's removal would turn into a name.
_NEVER_SPLIT = frozenset(match_form("بابها").split())


class Record(NamedTuple):
    """An entity of the tables. Coordinates are degrees, WGS 84, to 0.01; None where not known."""

    entity_id: str
    type: EntityType
    name: str
    country: str | None
    latitude: float | None
    longitude: float | None

    @property
    def is_country(self) -> bool:
        """Whether this is a country itself: `loc:` and its two-letter code."""
        return len(self.entity_id) == 6 and self.type == "LOC"  # "loc:xx"


@dataclass(frozen=True, slots=True)
class Alias:
    """A name as the match layer spells it. The first `skip` words must be there, outside the span.

    `records` are the entities that bear the name, the first one the best known; `quoted` those that
    bear it in quotation marks: «الشرق الأوسط» is a newspaper.
    """

    words: tuple[str, ...]
    skip: int
    trust: Trust
    records: tuple[Record, ...]
    quoted: tuple[Record, ...] = ()


class Hit(NamedTuple):
    """An alias at words `[first, last)` of a text; `clitic` letters stand before the first one."""

    first: int
    last: int
    clitic: str
    alias: Alias


class Words(NamedTuple):
    """A text of the match layer cut at its spaces: the words, and where each begins."""

    text: tuple[str, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Words:
        """The words of `text`, which the match layer parts by one space each."""
        words = tuple(text.split())
        return cls(words, tuple(accumulate((len(word) + 1 for word in words), initial=0)))

    def span(self, hit: Hit) -> tuple[int, int]:
        """The characters of a hit's name: without what stands before it."""
        first = hit.first + hit.alias.skip
        start = self.starts[first] + (0 if hit.alias.skip else len(hit.clitic))
        return start, self.starts[hit.last - 1] + len(self.text[hit.last - 1])


def bare_forms(word: str) -> Iterator[tuple[str, str]]:
    """The ways to take proclitics off `word`: what is taken off, and what is left.

    `لل` hides the alef of the article, للعراق is ل and [ا]لعراق, and its lam as well before
    another, للاذقية is ل and [ال]لاذقية: what is left begins with letters that are not in the text.
    """
    taken = ""
    rest = word
    if rest[0] in _CONJUNCTIONS and len(rest) > _SHORTEST:
        taken, rest = rest[0], rest[1:]
        yield taken, rest
    if rest[0] in _PREPOSITIONS and len(rest) > _SHORTEST:
        yield taken + rest[0], rest[1:]
        if rest.startswith("لل"):
            yield taken + "ل", "ا" + rest[1:]
            yield taken + "ل", "ال" + rest[1:]


class Gazetteer:
    """The aliases of every known entity, by first word."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        heads: dict[str, list[Alias]] = {}
        for alias in aliases:
            heads.setdefault(alias.words[0], []).append(alias)
        self._heads: Mapping[str, tuple[Alias, ...]] = {
            head: tuple(sorted(found, key=lambda alias: -len(alias.words)))
            for head, found in heads.items()
        }

    @classmethod
    def load(cls) -> Gazetteer:
        """Read the packaged tables."""
        return cls(read_aliases(DATA / name for name in TABLES))

    def __len__(self) -> int:
        return sum(map(len, self._heads.values()))

    def find(self, words: tuple[str, ...]) -> list[Hit]:
        """Known names in reading order: the longest at each place, none overlapping another."""
        hits = []
        position = 0
        heads = self._heads
        count = len(words)
        while position < count:
            word = words[position]
            hit = None
            if word in heads:
                hit = self._longest(word, "", words, position)
            if hit is None and word[0] in PROCLITICS and word not in _NEVER_SPLIT:
                for clitic, bare in bare_forms(word):
                    if bare in heads:
                        found = self._longest(bare, clitic, words, position)
                        if found and (hit is None or found.last > hit.last):
                            hit = found
            if hit is None:
                position += 1
            else:
                hits.append(hit)
                position = hit.last
        return hits

    def _longest(self, head: str, clitic: str, words: tuple[str, ...], first: int) -> Hit | None:
        for alias in self._heads[head]:
            last = first + len(alias.words)
            if words[first + 1 : last] == alias.words[1:]:
                return Hit(first, last, clitic, alias)
        return None


def read_aliases(paths: Iterable[Path]) -> list[Alias]:
    """Every alias of the tables. Rows with one id are one entity: the first gives its facts, all
    give aliases. Two entities may share an alias; the tables' order says which is better known.

    Raises ValueError for a row that does not hold what the header promises.
    """
    records: dict[str, Record] = {}
    names: list[tuple[_Written, str]] = []
    for path in paths:
        for row in _rows(path):
            record = records.setdefault(row["id"], _record(row, path))
            for text in (row["aliases"] or row["name"]).split("|"):
                names += [(alias, record.entity_id) for alias in _parse_alias(text.strip())]

    found: dict[tuple[str, ...], Alias] = {}
    # One call for all names: the match layer costs more for each call than for each letter.
    keys = match_form(_SEPARATOR.join(alias.spelling for alias, _ in names)).split(_SEPARATOR)
    for key, (written, entity_id) in zip(keys, names, strict=True):
        words = tuple(key.split())
        if not words:
            raise ValueError(f"alias {written.spelling!r} of {entity_id} leaves nothing to match")
        _add(found, words, written, records[entity_id])
        if len(words) == 2 and not written.skip and entity_id.startswith("loc:"):
            _add(found, ("".join(words),), written, records[entity_id])  # ديرالزور
    return list(found.values())


class _Written(NamedTuple):
    """An alias as a table gives it."""

    spelling: str
    skip: int
    trust: Trust
    quoted: bool


def _add(
    found: dict[tuple[str, ...], Alias], words: tuple[str, ...], written: _Written, record: Record
) -> None:
    old = found.get(words) or Alias(words, written.skip, written.trust, ())
    if written.quoted:
        found[words] = replace(old, quoted=(*old.quoted, record))
    elif not old.records:
        found[words] = Alias(words, written.skip, written.trust, (record,), old.quoted)
    elif record not in old.records:
        found[words] = replace(old, records=(*old.records, record))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")


def _record(row: dict[str, str], path: Path) -> Record:
    if row["type"] not in ("PER", "LOC", "ORG", "MISC"):
        raise ValueError(f"{path.name}: {row['id']} has the type {row['type']!r}")
    return Record(
        row["id"],
        cast(EntityType, row["type"]),
        row["name"],
        row["country"] or None,
        float(row["latitude"]) if row["latitude"] else None,
        float(row["longitude"]) if row["longitude"] else None,
    )


def _parse_alias(written: str) -> Iterator[_Written]:
    """An alias as the tables write it: `(تنظيم) الدولة` has a word before it that is not in the
    span, `سوريا/سورية` two spellings of one word, `«الحياة»` is a name in quotation marks only, a
    last `~`, `@`, `?` or `!` its trust.
    """
    trust: Trust = ""
    for mark in _MARKS:
        if written.endswith(mark):
            written, trust = written[:-1], mark
    quoted = written.startswith("«")
    before, _, rest = written.strip("«»").rpartition(")")
    spellings = [""]
    for word in f"{before.lstrip('(')} {rest}".split():
        spellings = [f"{s} {choice}".strip() for s in spellings for choice in word.split("/")]
    for spelling in spellings:
        yield _Written(spelling, len(before.split()), trust, quoted)
