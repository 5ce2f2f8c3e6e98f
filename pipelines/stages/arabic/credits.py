"""Who and where a credit such as `الرياض - واس` names, by a table of agencies, outlets and places.

What is in no table is a person, or a small town where only a place can stand; in doubt neither.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import Literal, NamedTuple

from pipelines.records import FurnitureKind
from pipelines.stages.arabic.calendars import DATE_SPELLINGS
from pipelines.stages.arabic.layers import display_text, match_text

_DATA = Path(__file__).parent.parent / "data"
_GAZETTEER = ("countries.tsv", "cities.tsv", "places.tsv")

Kind = Literal["agency", "outlet", "place", "desk", "photo", "person", ""]


@dataclass(frozen=True, slots=True)
class Credit:
    """What a credit names: the first agency, outlet and place, and all persons but photographers.

    Of its parts the tables knew `known`; `guessed` were taken for a person, a place or an outlet
    by their form; of `unread` neither could be said. `photo`: it names a photographer too.
    """

    outlet: str = ""
    byline: str = ""
    agency: str = ""
    dateline: str = ""
    desk: str = ""
    photo: str = ""
    known: int = 0
    guessed: int = 0
    unread: int = 0

    @property
    def kind(self) -> FurnitureKind:
        """The kind of furniture that a line with this credit is."""
        return next((kind for kind in _FURNITURE if getattr(self, kind)), "desk")

    @property
    def facts(self) -> dict[str, str]:
        """What it tells of a text."""
        return {kind: value for kind in _FURNITURE if (value := getattr(self, kind))}

    @property
    def names_sender(self) -> bool:
        """Whether it names more than places, and no person that only looks like one."""
        return bool(self.agency or self.outlet) or (
            begins_like_person(self.byline) if self.byline else bool(self.desk)
        )

    def is_line(self, *, colon: bool) -> bool:
        """Whether a line of its own with this credit is furniture; `colon`: it ended in one."""
        if self.unread:
            return False
        if self.known + self.guessed == 1:
            return self.known > 0 and bool(self.agency or (colon and self.dateline))
        if not self.known:
            return colon and begins_like_person(self.byline)
        return self.names_sender

    def is_prefix(self, *, mark: str) -> bool:
        """Whether this credit before a paragraph's first sentence is a dateline; `mark`: what
        parts it from the sentence.
        """
        if self.unread:
            return False
        if "/" in mark and self.outlet and not self.guessed:  # شفق نيوز/
            return True
        if ":" in mark or self.photo:
            return self.known > 0 and self.known + self.guessed > 1 and self.names_sender
        # وفا - and وما - are words, too: alone, an agency stands in brackets or before a stroke.
        return self.guessed == 0 and bool(self.agency) and (self.known > 1 or mark[0] in ")/")


# What a credit is called after, in order.
_FURNITURE: tuple[FurnitureKind, ...] = ("dateline", "agency", "outlet", "byline")


# --- Tables -------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    return match_text(text)[0]


def _folded(names: Iterable[str]) -> list[str]:
    """The match layer of each name, made in one go: `zz` is a word that it leaves alone."""
    match, _ = match_text(" zz ".join(["", *names, ""]))
    return [name.strip() for name in match.split("zz")[1:-1]]


def _read_credits() -> list[tuple[str, list[str]]]:
    """The rows of the table: a kind, and a canonical name followed by its other spellings."""
    lines = (_DATA / "credits.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.replace("|", "\t").split("\t") for line in lines if line and line[0] != "#")
    return [(kind, names) for kind, *names in rows]


def _read_places() -> dict[str, bool]:
    """The gazetteer's names of places (match layer), for slots where only a place can stand, and
    whether they are countries.
    """
    names: dict[str, bool] = {}
    for table in _GAZETTEER:
        with (_DATA / table).open(encoding="utf-8", newline="") as lines:
            rows = csv.reader((line for line in lines if line[0] != "#"), delimiter="\t")
            next(rows)
            for entity_id, kind, name, aliases, *_ in rows:
                if kind == "LOC" and entity_id != "-":
                    for each in (name, *(alias.strip(" ~@?") for alias in aliases.split("|"))):
                        if each and not set(each) & set("(/!"):
                            names.setdefault(each, len(entity_id) == len("loc:xx"))
    return dict(zip(_folded(names), names.values(), strict=True))


_NAMES: dict[str, dict[str, str]] = {}  # by spelling: canonical names by their kinds
for _kind, _names in (*_read_credits(), ("date", DATE_SPELLINGS)):
    for _spelling in _folded(_names):
        _NAMES.setdefault(_spelling, {}).setdefault(_kind, _names[0])
_PLACES = _read_places()
_NAME_KINDS: tuple[Kind, ...] = ("agency", "outlet", "place", "desk", "photo")


@lru_cache(maxsize=4096)
def _entry(text: str) -> dict[str, str]:
    """The kinds of what `text` is in the table, each with the canonical name."""
    return _NAMES.get(_fold(text), {})


def agency_of(text: str) -> str:
    """The canonical name of the first agency that `text` names, or an empty string.

    Several may be named, parted by commas, slashes, a plus or و; if one is no agency, none is.
    """
    names = [_entry(part).get("agency", "") for part in _listed(text)]
    return names[0] if names and all(names) else ""


def outlet_of(text: str) -> str:
    """The canonical name of the outlet that `text` names, or an empty string."""
    return _entry(text).get("outlet", "")


def is_place(text: str) -> bool:
    """Whether `text` is a place and nothing else that a credit may name."""
    entry = _entry(text)
    return "place" in entry or (not entry and _fold(text) in _PLACES)


def is_unknown(text: str) -> bool:
    """Whether `text` is in none of the tables."""
    return not _entry(text) and _fold(text) not in _PLACES


def credits_photo(text: str) -> bool:
    """Whether `text` is what stands behind a caption: agencies, archives or outlets."""
    entries = [_entry(part) for part in _listed(text)]
    return bool(entries) and all(
        entry.keys() & {"agency", "archive", "outlet"} and "place" not in entry for entry in entries
    )


# --- The form of names --------------------------------------------------------------------------

_AND = re.compile(r"\s*[،,+/|&؛;-]\s*|\s+و\s?(?=\S)")
_LETTERS = r"[^\W\d_](?:[^\W\d_]|[\u064b-\u0652])*"
_PERSON = re.compile(rf"{_LETTERS}(?:(?:\. ?| ){_LETTERS}){{1,6}}\.?")
# No name has these words; a part with one of them is a sentence.
_SENTENCE = re.compile(
    r"(?<!\w)(?:في|من|على ال|إلى|الى|عن|أن|إن|مع|قال|قالت|وقال|يقول|تقول|أعلن|أعلنت|أكد|كان|كانت"
    r"|هذا|هذه|التي|الذي|لا|لم|لن|ما|هل|بين|بعد|قبل|حول|ضد|بعض|كل|هو|هي|أنا|ليس|سوف|قد|أو|ثم|لل(?!أنباء|انباء|إعلام)\w+)(?!\w)"
)
_LONGEST_NAME = 45  # characters
_TITLE = re.compile(
    r"(?:أ|ا|د|م|أ\.د|ا\.د)(?:\. ?|/ ?| )(?=\w)|(?:ال)?(?:دكتور|مهندس|أستاذ|شيخ|أمير|لواء|عميد)ة? "
)
# Towns of two words that no table has begin like this: سان خوسيه, وادي الفرع.
_PLACE_HEAD = re.compile(
    r"(?:سان|سانتا|سانت|ساو|لوس|لاس|نيو|بورت|كيب|بوينس|بوينوس|ريو|أم|ام|وادي|رأس|جبل|بئر|عين|تل|دير"
    r"|جزيرة|مدينة|محافظة|بلدة|قرية|شرق|غرب|شمال|جنوب|ولاية|مخيم|ظهران|حوطة|ذي) \w"
)
_OFFICE = re.compile(
    r"(?P<outlet>(?:صحيفة|جريدة|موقع|قناة|تلفزيون|إذاعة) |خاص (?:[بل]ـ? ?)?)(?=\w)"
    r"|(?P<agency>وكالة) \w|(?:مكتب|مكاتب|كلمة|رأي|افتتاحية|قسم|القسم|إدارة|اداره|فريق|هيئة|وحدة"
    r"|مركز|ملحق|الملف|محرر|المحرر|مندوب|موفد|مراسل)(?!\w)"
)


_SITE = re.compile(r"\w (?:نيوز|برس|أونلاين|اونلاين|نت|تي في|إف إم|اف ام)$")


def begins_like_person(text: str) -> bool:
    """Whether a name begins as persons' names do: with a title or a given name."""
    if _TITLE.match(text):
        return True
    first = _fold(text).partition(" ")[0]
    return "given" in _NAMES.get(first, {}) or (first.startswith("عبد") and len(first) > 4)


def looks_like_person(text: str) -> bool:
    """Whether the text is two words or more of letters, with no word that only sentences have."""
    return bool(
        len(text) <= _LONGEST_NAME and _PERSON.fullmatch(text) and not _SENTENCE.search(text)
    )


def may_be_credit(text: str) -> bool:
    """Whether it is worth reading: a cheap test that hardly any sentence passes."""
    if any(map(str.isdigit, text)):
        text = _DATE.sub(" ", text)
    return not _SENTENCE.search(text.replace(" من ", " "))


def _listed(text: str) -> list[str]:
    return [part for part in _AND.split(text.translate(_QUOTES).strip(" .")) if part]


# --- Reading ------------------------------------------------------------------------------------

_QUOTES = str.maketrans("", "", '«»"“”„{}')
_PART_END = re.compile(
    r"((?:\s*(?:[-–—|/:()\[\]،,؛;+_]|ـ+(?=\s|$)|(?<!\w)ـ+|(?<=\s)من(?=\s)))+\s*)"
)
_DATE_WORD = "|".join(DATE_SPELLINGS)
_DATE = re.compile(
    rf"(?:(?<!\w)في )?(?<!\w)(?:\d[\d/.]*|أول(?= (?:{_DATE_WORD})(?!\w)))"
    rf"(?:[\s/]*(?:\d[\d/.]*|(?:{_DATE_WORD})(?!\w)))*"
)
_TWO_CREDITS = re.compile(r"\t|\s{6,}|(?<=\w)\.{2,}\s")  # on one line


class _Part(NamedTuple):
    text: str
    kind: Kind = ""
    name: str = ""  # canonical
    slot: bool = False  # in brackets or behind من: a place may stand there
    listed: bool = False  # a comma alone parts it from the one before
    by_form: bool = False  # in no table


@lru_cache(maxsize=4096)
def read_author(author: str, source: str = "") -> Credit:
    """Who and where the author of a message names: `الرياض - واس`, `سعاد الشمراني (الرياض)`.

    What cannot be read is passed over; a sentence names nobody.
    """
    text = _TWO_CREDITS.sub(" - ", unescape(author).strip())
    if len(text) > _LONGEST_AUTHOR or not may_be_credit(text):
        return Credit()
    credit = read_credit(display_text(text)[0].strip(" :*-"), source) or Credit()
    return credit if credit.known or not credit.outlet else replace(credit, outlet="")


@lru_cache(maxsize=4096)
def read_credit(text: str, source: str = "") -> Credit | None:
    """Who and where a credit names, its parts being parted by dashes, brackets, commas or colons.

    `source` is who delivered the text: it tells a paper from the town that it is called after.
    None for a text that has more parts than a credit.
    """
    parts = _parts(text)
    if not 1 <= len(parts) <= _MOST_PARTS:
        return None
    parts = _with_known(parts, source)
    found: dict[str, str] = {}
    persons: list[str] = []
    known = guessed = unread = 0
    for index, part in enumerate(parts):
        kind, name = part.kind, part.name
        if index and parts[index - 1].kind == "photo":
            continue  # who took the pictures
        if kind:
            known += not part.by_form
            guessed += part.by_form
        else:
            kind = _guess(parts, index, place_found="dateline" in found)
            name = part.text
            guessed += bool(kind)
            unread += not kind
        if kind == "person":
            persons.append(name)
        elif kind:
            found.setdefault("dateline" if kind == "place" else kind, name)
    if len(persons) == 2 and not known and not begins_like_person(persons[0]):
        found["outlet"] = persons.pop(0)  # two unknown names: the outlet stands first
    return Credit(byline="، ".join(persons), known=known, guessed=guessed, unread=unread, **found)


_MOST_PARTS = 8
_LONGEST_AUTHOR = 100  # characters


def _parts(text: str) -> list[_Part]:
    """A credit cut up, words of a date left out."""
    if any(map(str.isdigit, text)):
        text = _DATE.sub(" - ", text)
    if text.count('"') == 1:
        text = text.replace('"', " - ")
    pieces = ["", *_PART_END.split(text.translate(_QUOTES).strip())]
    parts = []
    for gap, piece in zip(pieces[::2], pieces[1::2], strict=True):
        slot = "(" in gap or "[" in gap or "من" in gap
        listed = bool(gap) and not gap.strip(" ،,؛;+")
        for each in _cut(piece.strip(" .")):
            if each and "date" not in _entry(each):
                parts.append(_Part(each, slot=slot, listed=listed))
    return parts


def _cut(text: str) -> tuple[str, ...]:
    """A part in two where a known name stands before another, or before a person, without a dash:
    `واشنطن رويترز`, `الرياض خالد الفهد`, `تصوير أحمد الفهد`.
    """
    words = text.split(" ")
    if len(words) == 1 or _entry(text):
        return (text,)
    for index in range(1, min(4, len(words))):
        head, rest = " ".join(words[:index]), " ".join(words[index:])
        kinds = _entry(head).keys() & {*_NAME_KINDS}
        others = _entry(rest).keys() & {*_NAME_KINDS}
        if kinds and others and not ("desk" in kinds and "outlet" in others):
            return head, rest
        rest = rest.removeprefix("و")
        if kinds & {"place", "desk", "photo"} and " " in rest and begins_like_person(rest):
            return head, rest
    return (text,)


def _with_known(parts: list[_Part], source: str) -> list[_Part]:
    """The parts with what the tables and the source say of them."""
    entries = [_entry(part.text) for part in parts]
    place_elsewhere = any("place" in each and "outlet" not in each for each in entries)
    own = _fold(source)
    known = []
    for index, (part, entry) in enumerate(zip(parts, entries, strict=True)):
        kinds: list[Kind] = [kind for kind in _NAME_KINDS if kind in entry]
        if "outlet" in kinds and "place" in kinds:
            # The paper الرياض is called like its town, المدينة like المدينة المنورة for short. The
            # town stands first: right behind a place it is the paper, and the short name is also
            # before one.
            short = _fold(entry["place"]) != _fold(part.text)
            behind = index > 0 and not part.slot and "place" in entries[index - 1]
            is_own = index == 0 and short and outlet_of(source) == entry["outlet"]
            is_paper = is_own or (place_elsewhere and (behind or (short and not part.slot)))
            kinds = ["outlet" if is_paper else "place"]
        if kinds:
            part = part._replace(kind=kinds[0], name=entry[kinds[0]])
        elif own and _fold(part.text) == own:
            part = part._replace(kind="outlet", name=part.text)
        elif named := _by_form(part.text):
            part = part._replace(kind=named[0], name=named[1], by_form=True)
        known.append(part)
    return known


def _by_form(text: str) -> tuple[Kind, str] | None:
    """Kind and name of what the first or last word tells: صحيفة الميناء, مكتب الميناء."""
    if _SITE.search(text):
        return "outlet", text
    office = _OFFICE.match(text)
    if office is None:  # a section is named after its paper: ثقافة اليوم
        section = outlet_of(text.rpartition(" ")[2]) and not begins_like_person(text)
        return ("desk", text) if section else None
    if office["agency"]:
        return "agency", text
    if not office["outlet"]:
        return "desk", text
    name = text[office.end() :]
    if agency := agency_of(name):
        return "agency", agency
    return "outlet", outlet_of(name) or name


def _guess(parts: list[_Part], index: int, *, place_found: bool) -> Kind:
    """What a part is that is in no table."""
    text, slot = parts[index].text, parts[index].slot
    words = text.count(" ") + 1
    if not (text.isalpha() if words == 1 else looks_like_person(text)):
        return ""
    if _fold(text) in _PLACES or _PLACE_HEAD.match(text):
        return "place"
    if not place_found and words <= 3 and not begins_like_person(text):
        others = [part for part in parts if part.text != text]
        after = parts[index + 1] if index + 1 < len(parts) else _Part("")
        if slot or (words == 1 and others and not parts[index].listed):
            return "place"
        if after.slot and _PLACES.get(_fold(after.text)):  # بولي علم (أفغانستان)
            return "place"
        # Nothing else that could be the place, and beside an agency or a paper one is named.
        if len(others) == 1 and others[0].kind == "agency":
            return "place"
        if index == 0 and after.kind in ("agency", "outlet") and not _names_place(others):
            return "place"
    return "" if words == 1 else "person"


def _names_place(parts: list[_Part]) -> bool:
    return any(
        part.kind == "place" or (not part.kind and (part.text.isalpha() or is_place(part.text)))
        for part in parts
    )
