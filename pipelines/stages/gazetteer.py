"""Names that are known beforehand: the tables in `data/`, loaded once, and the search for their
aliases in a text of the match layer. What a found name means in its article is for `entities`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Literal, NamedTuple, cast

from pipelines.records import EntityType
from pipelines.stages.arabic.layers import match_text

DATA = Path(__file__).with_name("data")
TABLES = ("places.tsv", "groups.tsv", "people.tsv", "countries.tsv", "cities.tsv")

# How far an alias can be trusted by itself; written after it in the tables.
# "" always · "~" not as the adjective of a definite noun · "@" with its country in the article ·
# "?" with a sign of place before it, too · "!" only after a word such as "city of". A recognizer
# that has exactly this name bears out all but the last. Whatever the mark, once its bearer is named
# beyond doubt in an article, the name is taken in all of it.
Trust = Literal["", "~", "@", "?", "!"]

_MARKS: tuple[Trust, ...] = ("~", "@", "?", "!")
_NOBODY = "-"
_COORDINATES = ("latitude", "longitude")
_COLUMNS = ("id", "type", "name", "aliases", "country", *_COORDINATES)
_SEPARATOR = " zz "  # between names in one call of match_text: a word that it leaves alone


def match_form(text: str) -> str:
    """`text` as the match layer spells it."""
    return match_text(text)[0]


_CONJUNCTIONS = ("", "و", "ف")
_PREPOSITIONS = ("", "ب", "ل", "ك")
# Common words that are no proclitic and name: "its door" is not "in Abha".
_WHOLE = frozenset(match_form("بابها").split())


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
    """An alias at words `[first, last)` of a text, the proclitics `clitic` before the first one."""

    first: int
    last: int
    clitic: str
    alias: Alias


def with_proclitics(word: str) -> Iterator[tuple[str, str]]:
    """The forms in which `word` (match layer) may stand in a text: the proclitics, and the form.

    ل swallows the article's alef, for العراق it is للعراق, and its lam as well before another: for
    اللاذقية it is للاذقية.
    """
    for conjunction in _CONJUNCTIONS:
        for preposition in _PREPOSITIONS:
            taken = conjunction + preposition
            if preposition == "ل" and word.startswith("ال"):
                rest = word[2:] if word.startswith("الل") else word[1:]
            else:
                rest = word
            form = taken + rest
            if not taken or form not in _WHOLE:
                yield taken, form


class _Reading(NamedTuple):
    """What a word may begin: an alias behind proclitics. `rest` are its words after the second."""

    length: int
    rest: list[str]
    clitic: str
    alias: Alias


class Gazetteer:
    """The aliases of every known entity, by each form that their first word may have in a text."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        # By first word, the names of one word; by the first two, longer ones, the longest first.
        self._words: dict[str, _Reading | None] = {}
        self._pairs: dict[tuple[str, str], list[_Reading]] = {}
        for alias in aliases:
            head, *tail = alias.words
            for clitic, form in with_proclitics(head):
                reading = _Reading(len(alias.words), tail[1:], clitic, alias)
                if tail:
                    self._words.setdefault(form, None)
                    self._pairs.setdefault((form, tail[0]), []).append(reading)
                else:
                    known = self._words.get(form)
                    if known is None or len(clitic) < len(known.clitic):
                        self._words[form] = reading
        for readings in self._pairs.values():
            readings.sort(key=lambda reading: (-reading.length, len(reading.clitic)))

    @classmethod
    def load(cls) -> Gazetteer:
        """Read the packaged tables."""
        return cls(read_aliases(DATA / name for name in TABLES))

    def find(self, words: list[str], first: int = 0, last: int | None = None) -> list[Hit]:
        """Known names among the words `[first, last)`, in reading order: the longest at each place,
        none overlapping another.
        """
        last = len(words) if last is None else last
        known = map(self._words.__contains__, words[first:last])
        hits: list[Hit] = []
        end = first
        for at in compress(range(first, last), known):
            hit = self._longest(words, at, last) if at >= end else None
            if hit and hit.alias.skip:  # the name behind its head may be part of a longer one
                inner = at + hit.alias.skip
                longer = self._longest(words, inner, last)
                hit = longer if longer and longer.last > hit.last else hit
            if hit:
                hits.append(hit)
                end = hit.last
        return hits

    def _longest(self, words: list[str], first: int, last: int) -> Hit | None:
        if first + 1 < last:
            for length, rest, clitic, alias in self._pairs.get(
                (words[first], words[first + 1]), ()
            ):
                if words[first + 2 : min(first + length, last)] == rest:
                    return Hit(first, first + length, clitic, alias)
        reading = self._words.get(words[first])
        return Hit(first, first + 1, reading.clitic, reading.alias) if reading else None


def read_aliases(paths: Iterable[Path]) -> list[Alias]:
    """Every alias of the tables. Rows with one id are one entity: the first gives its facts, all
    give aliases. Two entities may share an alias; the tables' order says which is better known.
    What has the id `-` is no name though it holds one (الروح القدس): an alias that nobody bears.

    Raises ValueError, which says where, for a header without a column that is needed and for
    a row that does not hold what the header promises.
    """
    records: dict[str, Record] = {}
    names: list[tuple[_Written, str]] = []
    for path in paths:
        for row in _rows(path):
            if row["id"] not in records and row["id"] != _NOBODY:
                records[row["id"]] = _record(row, path)
            for text in (row["aliases"] or row["name"]).split("|"):
                names += [(alias, row["id"]) for alias in _parse_alias(text.strip())]

    found: dict[tuple[str, ...], Alias] = {}
    # One call for all names: the match layer costs more for each call than for each letter.
    text = match_form(_SEPARATOR.join(alias.spelling for alias, _ in names))
    # Two spaces: of an alias that leaves nothing, the separators beside it would share theirs.
    keys = f" {text} ".replace(" ", "  ").split(_SEPARATOR)
    for key, (written, entity_id) in zip(keys, names, strict=True):
        words = tuple(key.split())
        if not words:
            raise ValueError(f"alias {written.spelling!r} of {entity_id} leaves nothing to match")
        if entity_id == _NOBODY:
            found[words] = Alias(words, 0, "", ())
            continue
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
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise ValueError(f"{path.name} has no column {missing[0]!r}")
        for row in rows:
            if None in row:
                raise ValueError(f"{path.name}: {row['id']} has more fields than the header")
            yield row


def _record(row: dict[str, str], path: Path) -> Record:
    if row["type"] not in ("PER", "LOC", "ORG", "MISC"):
        raise ValueError(f"{path.name}: {row['id']} has the type {row['type']!r}")
    try:
        latitude, longitude = (float(row[of]) if row[of] else None for of in _COORDINATES)
    except ValueError as error:
        raise ValueError(
            f"{path.name}: {row['id']} has coordinates that are none: {error}"
        ) from error
    kind, country = cast(EntityType, row["type"]), row["country"] or None
    return Record(row["id"], kind, row["name"], country, latitude, longitude)


def _parse_alias(written: str) -> Iterator[_Written]:
    """An alias as the tables write it: `(تنظيم) الدولة` has a word before it that is not in the
    span, `سوريا/سورية` two spellings of one word, `«الحياة»` is a name in quotation marks only, a
    last `~`, `@`, `?` or `!` its trust. عبدالله is written عبد الله as well.
    """
    trust: Trust = ""
    for mark in _MARKS:
        if written.endswith(mark):
            written, trust = written[:-1], mark
    quoted = written.startswith("«")
    before, _, rest = written.strip("«»").rpartition(")")
    spellings = [""]
    for word in f"{before.lstrip('(')} {rest}".split():
        choices = word.split("/")
        choices += [f"عبد {c[3:]}" for c in choices if c.startswith("عبدال")]
        spellings = [f"{s} {choice}".strip() for s in spellings for choice in choices]
    for spelling in spellings:
        yield _Written(spelling, len(before.split()), trust, quoted)
