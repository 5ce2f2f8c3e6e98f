"""Entities: which places, groups, people and other things an article names, and exactly where.

The gazetteer says which entity a known name is; a backend finds names that no table holds, and
bears out those that are common words as well. Names that are one entity are then joined.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Entity, EntityType, Mention, Passage, changed
from pipelines.stages import recognizer
from pipelines.stages.gazetteer import (
    Gazetteer,
    Hit,
    Record,
    Trust,
    match_form,
    with_proclitics,
)
from pipelines.stages.lexicon import Ints, codes_of
from pipelines.stages.recognizer import LISTED, NO_GAP, STRANGE, Backend, Span, word_places

GAZETTEER_VERSION = "gazetteer/3"


def entities_version(ner: str) -> str:
    """What the records say of how entities were found, by the setting `ner`."""
    backends = {"default": recognizer.VERSION, "camel": "camel-arabert"}
    return "" if ner == "none" else f"{GAZETTEER_VERSION} {backends[ner]}"


def _forms(text: str) -> frozenset[str]:
    """The words of `text` in every form that they may have in the match layer."""
    words = match_form(text).split()
    return frozenset(form for word in words for _, form in with_proclitics(word))


# After these a doubtful name is that of a place beyond doubt: "city of", "governor of".
_TOWN_HEADS = _forms(
    "مدينة مدينتي محافظة محافظتي محافظ قضاء ناحية بلدة بلدتي قرية قريتي ولاية مديرية مديريتي بلدية"
)
_PLACE_HEADS = _TOWN_HEADS | _forms("منطقة منطقتي أمير إمارة أمانة ضاحية إقليم أهالي سكان")
# Signs of place, which a name needs that is a common word besides.
_PLACE_SIGNS = _PLACE_HEADS | _forms(
    "في إلى من نحو باتجاه تجاه صوب قرب داخل خارج عبر مشارف محيط أطراف ريف شرق غرب شمال جنوب"
    " شرقي غربي شمالي جنوبي وسط جبهة معركة معارك تحرير استعادة دخول اقتحام سقوط حصار ضواحي"
    " مدن محافظات بلدات قرى"
)
# A facility and its place make one name. The word after `#` in its id is the value.
_FACILITY_KINDS = {
    "معبر": "crossing",
    "مطار": "airport",
    "ميناء": "port",
    "مرفأ": "port",
    "قاعدة": "base",
    "حقل": "field",
    "سد": "dam",
    "سجن": "prison",
    "مخيم": "camp",
    "جسر": "bridge",
    "مصفاة": "refinery",
    "وادي": "valley",
    "كورنيش": "corniche",
    "جامعة": "university",
}
# By form: the proclitics, the head's spelling in names, its kind.
_FACILITIES = {
    form: (clitic, head, kind)
    for head, kind in _FACILITY_KINDS.items()
    for clitic, form in with_proclitics(match_form(head))
}
_OF_COUNTRIES = frozenset({"airport", "university"})  # a "field of Iraq" is no name
_INTERNATIONAL = match_form("الدولي")
_ARTICLE = ("ال", "وال", "فال", "بال", "كال", "لل", "ولل", "فلل", "وبال")
_SON_OF = frozenset({"بن", "ابن", "بنت"})  # فيصل بن سلمان بن عبدالعزيز is not his father
_NO_NOUNS = _forms("إلى إلا الذي التي الذين اللذين الآن اليوم")
# The adjective that tells which of a country's towns is meant: "al-Qaim, the Iraqi one".
_ADJECTIVES = {
    match_form(word): country
    for word, country in {
        "العراقية": "IQ",
        "السورية": "SY",
        "اللبنانية": "LB",
        "اليمنية": "YE",
        "الليبية": "LY",
        "السودانية": "SD",
        "الفلسطينية": "PS",
        "المصرية": "EG",
        "التركية": "TR",
        "الأردنية": "JO",
        "السعودية": "SA",
        "الإيرانية": "IR",
        "التونسية": "TN",
        "الجزائرية": "DZ",
        "المغربية": "MA",
    }.items()
}
# What cannot stand inside a name: a sentence ends, or a quotation or bracket opens or closes.
_BREAK = re.compile(r"[\n،؛:;!؟?()\[\]{}«»\"“”„…]|[.,]\s")
# But what holds nothing that the match layer knows is an honorific: عبدالله (حفظه الله) بن سعد.
_ASIDE = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|،([^،]*)،")
_MARKS = "".join(map(chr, (*range(0x64B, 0x660), 0x670, 0x640)))  # harakat, tatweel
_MARKED = frozenset(_MARKS)
_NO_MARKS = str.maketrans("", "", _MARKS)
_QUOTES = frozenset("\"'«»“”„‘’‹›")
_ARTICLE_BEFORE = re.compile("[اٱ]ل?$")
_NO_WIDTHS = np.zeros(0, np.uint8)
_TANWIN = "\u064b"
_HARAKAT = re.compile("(?:\u0640*[\u064b-\u065f\u0670])*")  # tatweel only under one
# A short form in quotes or brackets right behind the name, or the name in brackets behind it.
_SHORT_AFTER = re.compile(r'["”»\u201c]?\s{0,2}[("«“”]{1,2}([^\s()"«»“”]{2,12})[)"»”“]')
_SHORT_BEFORE = re.compile(r'["«“”(]([^\s()"«»“”]{2,12})["»”“)]\s{0,2}\(["«“”]?$')
_LATIN = re.compile(r"[A-Z]{2,6}")


@lru_cache(maxsize=1 << 14)
def _words(text: str) -> tuple[str, ...]:
    """The words of a name in the match layer; the same names come again and again."""
    return tuple(match_form(text).split())


class _Layer:
    """A passage in both layers; `words` are those of the match layer."""

    def __init__(self, passage: Passage, text: str, offsets: OffsetMap) -> None:
        self.passage = passage
        self.offsets = offsets
        self.text = text
        self.words = text.split()  # the match layer parts them by one space each

    @cached_property
    def _places(self) -> Ints:
        """What `word_places` says of the words."""
        if not self.words:
            return np.zeros((0, 4), np.int64)
        starts, widths = self.offsets.starts, self.offsets.widths
        display = codes_of(self.passage.text)
        return word_places(
            codes_of(self.text), starts, _NO_WIDTHS if widths is None else widths, display
        )

    @cached_property
    def _spans(self) -> tuple[list[int], list[int]]:
        """Where each word begins and ends in the display text."""
        return self._places[:, 1].tolist(), self._places[:, 2].tolist()

    @property
    def gaps(self) -> Ints:
        """The kind of gap before each word."""
        return self._places[:, 3]

    def span(self, first: int, last: int, clitic: str = "") -> tuple[int, int]:
        """Where the words `[first, last)` without their proclitics stand in the display text, the
        last one's harakat included.
        """
        starts, ends = self._spans
        start, end = starts[first], ends[last - 1]
        if clitic:
            start = self.offsets.starts.item(self._places.item(first, 0) + len(clitic))
        text = self.passage.text
        if text[end : end + 1] in _MARKED and (marks := _HARAKAT.match(text, end)):
            end = marks.end()
        return start, end

    @property
    def spellings(self) -> list[str]:
        """The words as the display layer spells them, without harakat and tatweel."""
        text = self.passage.text
        spans = (self.span(at, at + 1) for at in range(len(self.words)))
        return [text[start:end].translate(_NO_MARKS) for start, end in spans]

    def break_in(self, start: int, end: int) -> int | None:
        """Where the display text `[start, end)` holds what cannot stand inside a name."""
        text = self.passage.text
        while broken := _BREAK.search(text, start, end):
            aside = _ASIDE.match(text, broken.start(), end)
            if aside is None:
                return broken.start()
            inside = self.offsets.starts.searchsorted(aside.span(aside.lastindex or 0))
            if self.text[inside[0] : inside[1]].strip():
                return broken.start()
            start = aside.end()
        return None


@dataclass(slots=True)
class _Candidate:
    """A hit of the gazetteer at `[start, end)` of a layer's display text."""

    layer: _Layer
    hit: Hit
    start: int
    end: int
    records: tuple[Record, ...]
    trust: Trust
    accepted: bool = False

    @property
    def before(self) -> str:
        """The word before the name, in the match layer."""
        first = self.hit.first
        return self.layer.words[first - 1] if first else ""

    @property
    def after(self) -> str:
        """The word behind the name, in the match layer."""
        words = self.layer.words
        return words[self.hit.last] if self.hit.last < len(words) else ""


class _Found(NamedTuple):
    """A name at `[start, end)` of a layer's display text."""

    layer: _Layer
    start: int
    end: int
    record: Record

    @property
    def passage(self) -> Passage:
        return self.layer.passage

    @property
    def text(self) -> str:
        return self.layer.passage.text[self.start : self.end]


@dataclass(slots=True)
class _Draft:
    """What is known of an entity so far; `aliases` are keys, in order of first mention."""

    record: Record
    mentions: list[Mention] = field(default_factory=list)
    aliases: dict[str, None] = field(default_factory=dict)
    in_title: bool = False
    in_lead: bool = False


def entities(article: Article, gazetteer: Gazetteer, backend: Backend | None = None) -> Article:
    """The article with its entities, in the order in which they are first named; without a backend
    those of the gazetteer alone.

    A duplicate is returned as it is, and so is an article that is not in Arabic.
    """
    if article.decision.verdict == "duplicate" or article.display.language != "ar":
        return article
    display, match = article.display, article.match
    layers = (
        _Layer(display.title, match.title, match.title_offsets),
        _Layer(display.standfirst, match.standfirst, match.standfirst_offsets),
        _Layer(display.body, match.body, match.body_offsets),
    )
    candidates = [found for layer in layers for found in _candidates(layer, gazetteer)]
    spans = []
    if backend:
        read = zip(layers, backend.find(layers), strict=True)
        spans = [(layer, list(_parted(layer, each, backend))) for layer, each in read]
    countries = _judge(candidates, {(id(layer), *span) for layer, each in spans for span in each})
    found: list[_Found] = []
    for candidate in candidates:
        if candidate.accepted:
            found.append(_name(candidate, countries, found[-1] if found else None))
    if backend:
        found += _quoted_groups(found, layers)
        found = _with_spans(found, spans, backend)
    found += _short_forms(found, layers)
    if not found:
        return article
    return changed(article, entities=_collect(article, found))


def _candidates(
    layer: _Layer, gazetteer: Gazetteer, first: int = 0, last: int | None = None
) -> Iterator[_Candidate]:
    text = layer.passage.text
    for hit in gazetteer.find(layer.words, first, last):
        alias = hit.alias
        name = hit.first + alias.skip
        start, end = layer.span(name, hit.last, "" if alias.skip else hit.clitic)
        if hit.clitic.endswith("ل"):  # لـ"العراق": here the article has the alef that للعراق lacks
            hidden = _ARTICLE_BEFORE.search(text, max(0, start - 2), start)
            start = hidden.start() if hidden else start
        broken = layer.break_in(start, end) if len(alias.words) > 1 else None
        if broken is not None and len(alias.words[-1]) > 1:  # but أ. ف. ب is one name
            for cut in range(name + 1, hit.last):
                if layer.span(cut, cut + 1)[0] > broken:
                    yield from _candidates(layer, gazetteer, hit.first, cut)
                    yield from _candidates(layer, gazetteer, cut, hit.last)
                    break
        elif alias.quoted and _is_quoted(text, start, end):
            yield _Candidate(layer, hit, start, end, alias.quoted, "")
        elif alias.records and not _is_accusative(layer, hit, end):
            trust = alias.trust
            if len(alias.words) == 1 and alias.words[0][-1] == "ه" and not trust:
                # The match layer spells جدة, the town, like جده, "his grandfather".
                trust = "?" if text[start:end].rstrip(_MARKS)[-1:] == "ه" else ""
            candidate = _Candidate(layer, hit, start, end, alias.records, trust)
            if alias.records[0].type != "PER" or candidate.before not in _SON_OF:
                yield candidate


def _is_quoted(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] in _QUOTES and text[end : end + 1] in _QUOTES


def _is_accusative(layer: _Layer, hit: Hit, end: int) -> bool:
    """Whether a name ends as the accusative of an adjective: المدعومة روسيًا, لاجئا سوريا."""
    if hit.last - hit.first > 1 or not layer.words[hit.first].endswith("ا"):
        return False
    if _TANWIN in layer.passage.text[end - 2 : end]:
        return True
    before = layer.words[hit.first - 1] if hit.first else ""
    accusative = len(before) > 3 and before[-1] == "ا" and before[-2] not in "مهني"
    return accusative and not hit.clitic and layer.words[hit.first].endswith("يا")


def _judge(candidates: list[_Candidate], spans: set[tuple[Any, ...]]) -> Counter[str]:
    """Accept the candidates that their surroundings bear out, or exactly one of the `spans` (layer,
    first, last, type); the places' countries, counted.
    """
    named: set[str] = set()
    countries: Counter[str] = Counter()
    for candidate in candidates:
        records = candidate.records
        if candidate.trust == "~":
            candidate.accepted = not _is_adjective(candidate)
        else:
            candidate.accepted = candidate.trust == "" or _named_a_place(candidate)
        hit, kind = candidate.hit, records[0].type
        span = (id(candidate.layer), hit.first + hit.alias.skip, hit.last, kind)
        if candidate.trust != "!" and span in spans:  # سيول: floods are told of more than Seoul
            candidate.accepted = True
        if candidate.accepted:
            named.update(record.entity_id for record in records)
            if len(records) == 1 and records[0].country:
                countries[records[0].country] += 1

    previous: _Candidate | None = None
    for candidate in candidates:
        if not candidate.accepted:
            candidate.accepted = _borne_out(candidate, previous, named, countries)
        previous = candidate if candidate.accepted else None
    return countries


def _is_adjective(candidate: _Candidate) -> bool:
    """Whether the name reads as the adjective of a definite noun: الحكومة السعودية, and also
    الإيرانية والسعودية."""
    before, clitic = candidate.before, candidate.hit.clitic
    if not _is_definite(before):
        return False
    return not clitic or (clitic == "و" and before.endswith("يه"))


def _is_definite(word: str) -> bool:
    return word.startswith(_ARTICLE) and word not in _NO_NOUNS


def _named_a_place(candidate: _Candidate) -> bool:
    """Whether the words around it say that this is a place: "city of …", "…, the Iraqi one"."""
    before = candidate.before
    heads = _TOWN_HEADS if candidate.trust == "!" else _PLACE_HEADS
    if candidate.records[0].type != "LOC":
        return False
    if not candidate.hit.clitic and (before in heads or before in _FACILITIES):
        return True
    country = _ADJECTIVES.get(candidate.after)
    return country is not None and any(r.country == country for r in candidate.records)


def _borne_out(
    candidate: _Candidate,
    previous: _Candidate | None,
    named: set[str],
    countries: Counter[str],
) -> bool:
    """Whether a doubtful name is one in this article: its bearer is named beyond doubt elsewhere,
    or its country is named, and the word before it is a sign of place where it needs one.
    """
    hit, records, trust = candidate.hit, candidate.records, candidate.trust
    if trust == "~" or (not hit.clitic and _is_definite(candidate.before)):
        return False
    if hit.alias.trust and any(record.entity_id in named for record in records):
        return True
    if trust == "!" or not any(r.is_country or r.country in countries for r in records):
        return False
    if trust == "@" or hit.clitic[-1:] in ("ب", "ل") or candidate.before in _PLACE_SIGNS:
        return True
    return (  # "… and Rutba": behind another name that was taken
        previous is not None
        and previous.layer is candidate.layer
        and previous.hit.last == hit.first
        and hit.clitic == "و"
    )


def _name(candidate: _Candidate, countries: Counter[str], previous: _Found | None) -> _Found:
    """Which entity an accepted candidate is, and the whole of its name: with a facility's head,
    unless that belongs to the `previous` name.
    """
    record = _bearer(candidate, countries)
    layer, hit = candidate.layer, candidate.hit
    found = _Found(layer, candidate.start, candidate.end, record)
    facility = _FACILITIES.get(candidate.before)
    if not facility or record.type != "LOC" or hit.clitic or hit.alias.skip:
        return found
    clitic, head, kind = facility
    if record.is_country and kind not in _OF_COUNTRIES:
        return found
    last = hit.last + (kind == "airport" and candidate.after == _INTERNATIONAL)
    start, end = layer.span(hit.first - 1, last, clitic)
    if layer.break_in(start, end) is not None:
        return found
    if previous and previous.passage is layer.passage and previous.end > start:
        return found
    return _Found(layer, start, end, _of_place(record, head, kind))


def _of_place(place: Record, head: str, kind: str) -> Record:
    """The facility of a place, which is itself no row of the tables. Its country is the place's;
    its coordinates are not known.
    """
    university = kind == "university"
    scope = "org" if university else "loc"
    return Record(
        f"{scope}:{place.entity_id.partition(':')[2]}#{kind}",
        "ORG" if university else "LOC",
        f"{head} {place.name}",
        place.country,
        None,
        None,
    )


def _bearer(candidate: _Candidate, countries: Counter[str]) -> Record:
    """The entity that a name stands for in an article that names places of `countries`.

    A name of several places is that of the country named most; when none is, an entity of its own
    without country and coordinates: no guess.
    """
    if len(candidate.records) == 1:
        return candidate.records[0]
    adjective = _ADJECTIVES.get(candidate.after, "")
    ranked = sorted(
        (record.country == adjective, countries[record.country or ""], -at, record)
        for at, record in enumerate(candidate.records)
    )
    if ranked[-1][:2] > ranked[-2][:2]:
        return ranked[-1][3]
    known = candidate.records[0]
    key = "-".join(candidate.hit.alias.words)
    return Record(f"loc:name/{key}", known.type, known.name, None, None, None)


def _short_forms(found: list[_Found], layers: tuple[_Layer, ...]) -> list[_Found]:
    """Short forms that the article itself gives to a group's name, `"…" (قسد)`, where they stand
    outside the names found already.
    """
    learnt: dict[str, tuple[str, Record]] = {}  # by form: the proclitics, the entity
    for name in found:
        if name.record.type == "ORG":
            text = name.passage.text
            after = _SHORT_AFTER.match(text, name.end)
            before = _SHORT_BEFORE.search(text, max(0, name.start - 20), name.start)
            for short in (after, before):
                if short and _abbreviates(short[1], text[name.start : name.end]):
                    for clitic, form in with_proclitics(match_form(short[1])):
                        learnt.setdefault(form, (clitic, name.record))
    if not learnt:
        return []
    taken = {(id(name.passage), at) for name in found for at in range(name.start, name.end)}
    more = []
    for layer in layers:
        for at, word in enumerate(layer.words):
            if word in learnt:
                clitic, record = learnt[word]
                start, end = layer.span(at, at + 1, clitic)
                if (id(layer.passage), start) not in taken:
                    more.append(_Found(layer, start, end, record))
    return more


# --- Names that a backend finds ------------------------------------------------------------------

# Words before a name that are no part of it, when something follows them.
_OUTSIDE_HEADS = {
    "LOC": _forms("مدينة محافظة بلدة قرية ولاية منطقة قضاء ناحية مديرية ضاحية"),
    "ORG": _forms("تنظيم وكالة صحيفة قناة موقع"),
    "PER": _forms(
        "الرئيس الشيخ الملك الأمير الأميرة الدكتور الدكتورة اللواء العميد العقيد المقدم الرائد"
        " النقيب الملازم الفريق المشير الجنرال السيد السيدة المهندس الأستاذ الوزير السفير النائب"
        " القاضي المحامي الحاج الإمام البابا الدكتورين الكابتن"
        " دكتور دكتورة معالي سعادة سماحة فضيلة سمو"
    ),
}
_PREPOSITIONS = _forms("في إلى من نحو باتجاه تجاه صوب قرب داخل خارج عبر")
# Units of money and words of prayer, which the training data has as names; and common words that
# the recognizer takes for names in the news of later years.
_NO_NAMES = _forms(
    "الله دولار دولارا الدولار دولارات يورو اليورو جنيه جنيها جنيهات درهم درهما دراهم دينار دينارا"
    " ريال ريالا ريالات ليرة شيكل فرنك روبل يوان ين الين روبية الإسلام القرآن"
    " سيول محتلة الحدود قيادي ميداني لي العزيز شهيد ديوان المواطن الإرهابي سعودي روسي الأولمبي نوم"
    " أربعون الكومبيوتر الكورنيش معالي"
    # What a group, an office or a place is, without its name.
    " منظمة جامعة تنظيم بنك شركة وزارة حزب حركة جبهة لجنة هيئة مجلس قناة صحيفة وكالة مؤسسة جمعية"
    " نادي اتحاد مركز معهد كلية مستشفى كورنيش جماعة محافظة مدينة دكتور"
)
# By God's grace, the messenger of God, thank God: none of them is a person's name.
_OF_GOD = frozenset(match_form("توفيق رسول حمد كتاب سبيل بيت عون إذن شاء").split())
_GOD = match_form("الله")
_SON = frozenset(match_form("بن ابن بنت آل أبو أم").split())
# The words of kunyas as they stand in every case.
_FATHER = dict.fromkeys(match_form("أبي أبا").split(), match_form("أبو"))
_LONGEST_NAME = 8  # words
# A group's own name in quotation marks behind what it is.
_GROUP_HEADS = _forms(
    "تنظيم حركة قوات حزب جماعة جبهة كتائب كتيبة سرايا لواء ميليشيا ميليشيات فصيل تيار"
)
_QUOTED_GROUP = re.compile(r' ["«“”]([^"«»“”\n.،؛]{2,40})["»“”]')


def _quoted_groups(found: list[_Found], layers: tuple[_Layer, ...]) -> list[_Found]:
    """Groups named in quotation marks behind their kind, حركة «النور», that are not found yet."""
    more = []
    for layer in layers:
        text = layer.passage.text
        for quoted in _QUOTED_GROUP.finditer(text):
            before = text[max(0, quoted.start() - 12) : quoted.start()].rpartition(" ")[2]
            if " ".join(_words(before)) not in _GROUP_HEADS:
                continue
            start, end = quoted.span(1)
            words = _words(quoted[1])
            free = not any(n.layer is layer and n.start < end and start < n.end for n in found)
            if free and 1 <= len(words) <= 4:
                more.append(_Found(layer, start, end, _unlisted("ORG", words, quoted[1])))
    return more


def _unlisted(kind: EntityType, words: Sequence[str], name: str) -> Record:
    """An entity that is in no table: its id is its type and its name in the match layer."""
    return Record(f"{_SCOPES[kind]}:name/{_key(words)}", kind, name, None, None, None)


_SCOPES = {"PER": "per", "LOC": "loc", "ORG": "org", "MISC": "misc"}
_SLAVE = re.compile(r"(?<![^-])عبد-(?=.)")


def _key(words: Sequence[str]) -> str:
    """A name's words as they stand in an id: عبد الله as عبدالله, أبي as أبو."""
    joined = "-".join([_FATHER.get(word, word) for word in words])
    return _SLAVE.sub("عبد", joined) if "عبد-" in joined else joined


def _parted(layer: _Layer, spans: Sequence[Span], backend: Backend) -> Iterator[Span]:
    """The spans, those of persons parted before an "and": عبدالله عطيف وعبدالمجيد السواط."""
    for span in spans:
        first = span.first
        for at in range(first + 1, span.last if span.type == "PER" else 0):
            word = layer.words[at]
            if word[0] == "و" and backend.knows(word[1:]) == LISTED != backend.knows(word):
                yield Span(first, at, span.type)
                first = at
        yield Span(first, span.last, span.type)


def _with_spans(
    found: list[_Found], spans: list[tuple[_Layer, list[Span]]], backend: Backend
) -> list[_Found]:
    """The names found and those of the spans, none overlapping another: the gazetteer's go first,
    but for places that are part of a longer name of another kind.
    """
    added: list[_Found] = []
    parts: set[tuple[int, int]] = set()  # of longer names: their layers and starts
    for layer, each in spans:
        there = sorted((n for n in found if n.layer is layer), key=lambda name: name.start)
        known_places = {(name.start, name.end) for name in there}
        at, end = 0, 0  # the first known name that may overlap, the end of the last added one
        for span in each:
            if layer.span(span.first, span.last) in known_places:
                continue
            name = _of_span(layer, span, backend)
            if name is None or name.start < end:
                continue
            while at < len(there) and there[at].end <= name.start:
                at += 1
            last = at
            while last < len(there) and there[last].start < name.end:
                last += 1
            over = there[at:last]
            if all(_is_part(known, name) for known in over):
                parts.update((id(layer), known.start) for known in over)
                added.append(name)
                end = name.end
    kept = [name for name in found if (id(name.layer), name.start) not in parts]
    return kept + _joined(kept, added)


def _is_part(known: _Found, name: _Found) -> bool:
    """Whether a known name is only part of a longer one: لبنان of بنك لبنان."""
    inside = name.start <= known.start and known.end <= name.end
    longer = name.end - name.start > known.end - known.start
    kind = name.record.type
    return (
        inside
        and longer
        and (
            (known.record.type == "LOC" and kind == "ORG")
            or (known.record.type == "PER" and kind == "PER" and "name/" in known.record.entity_id)
            or (known.record.type == "LOC" and kind == "PER")
        )
    )


def _of_span(layer: _Layer, span: Span, backend: Backend) -> _Found | None:
    """The name that a span of words is: without heads, titles and proclitics; a facility's with its
    head. None for what is no name.
    """
    first, last, kind = span
    words = layer.words
    heads = _OUTSIDE_HEADS.get(kind, frozenset())
    while last - first > 1 and _is_outside(words[first], words[first + 1], kind, heads):
        first += 1
    if kind == "PER" and last - first > 1:  # "Yasin and the …": what goes on so is no person's name
        others = (at for at in range(first + 1, last) if words[at].startswith("وال"))
        last = next(others, last)
    while kind == "PER" and last - first > 1 and words[last - 1] in _SON:
        last -= 1
    clitic = _proclitic(words[first], backend)
    name = [words[first].removeprefix(clitic), *words[first + 1 : last]]
    if clitic.endswith("ل") and name[0].startswith("ل"):
        name[0] = f"ا{name[0]}"
    if last - first > _LONGEST_NAME or name[0] in _SON_OF:
        return None
    if _NO_NAMES.issuperset(name) or (len(name) == 1 and _FATHER.get(name[0], name[0]) in _SON):
        return None
    if len(name) == 2 and name[1] == _GOD and name[0] in _OF_GOD:
        return None
    if not (name[0].isalpha() or any(map(str.isalpha, name[0]))) or len("".join(name)) < 2:
        return None
    before = words[first - 1] if first else ""
    if before in _FACILITIES and kind != "MISC" and not clitic and layer.gaps[first] == NO_GAP:
        clitic, head, _ = _FACILITIES[before]
        kind = "ORG" if head == "جامعة" else "LOC"
        first -= 1
        name = [match_form(head), *name]
    start, end = layer.span(first, last, clitic)
    if _TANWIN in layer.passage.text[start:end]:
        return None  # an adverb or a number: روسيًا, "by the Russians"
    return _Found(layer, start, end, _unlisted(kind, name, layer.passage.text[start:end]))


def _is_outside(word: str, after: str, kind: EntityType, heads: frozenset[str]) -> bool:
    """Whether a span's first word is no part of the name: what it is, a title, a preposition. But
    وكالة الأنباء السعودية is a name, its head included.
    """
    if word in _PREPOSITIONS:
        return True
    return word in heads and not (kind == "ORG" and after.startswith("ال"))


def _proclitic(word: str, backend: Backend) -> str:
    """The proclitics before a name: what is known as a name with them has none."""
    taken = ""
    for letters in ("وف", "بلك"):
        rest = word[1:]
        if word[0] not in letters or len(rest) < 3:
            continue
        # فاليري is Valery; "so the …" is rare in news.
        article = rest.startswith("ال") and word[0] != "ف"
        article |= word[0] == rest[0] == "ل"
        whole, part = backend.knows(word), backend.knows(rest)
        if whole == LISTED:  # كاليفورنيا, وسام
            continue
        new = whole == STRANGE and (word[0] == "و" or part != STRANGE)
        # كلية is no name, but ليه is one.
        if article or new or (part == LISTED and word[0] != "ك"):
            taken += word[0]
            word = rest
    return taken


def _joined(found: list[_Found], added: list[_Found]) -> list[_Found]:
    """The added names, a person's or group's short name joined to the full one that the article
    gives, and names that differ by spaces alone joined to the first of them.
    """
    full: dict[str, Record] = {}  # by a word of the name: who bears it, the first one first
    groups: dict[str, Record] = {}
    same: dict[tuple[str, str], Record] = {}
    for name in sorted([*found, *added], key=lambda name: name.start):
        words = _words(name.text)
        record = name.record
        same.setdefault((record.type, "".join(words)), record)
        if record.type == "PER" and len(words) > 1:
            for word in (words[-1], words[0]):
                if word not in _SON:
                    full.setdefault(word, record)
        elif record.type == "ORG" and len(words) > 1 and words[0].startswith("ال"):
            groups.setdefault(words[0], record)  # التحالف الدولي, then التحالف
    joined = []
    for name in added:
        record = name.record
        word = record.entity_id.rpartition("/")[2]
        if record.type == "PER" and "-" not in word and word in full:
            record = full[word]
        elif record.type == "ORG" and word in groups:
            record = groups[word]
        else:
            record = same.get((record.type, word.replace("-", "")), record)
        joined.append(name._replace(record=record))
    return joined


def _abbreviates(short: str, long: str) -> bool:
    """Whether `short` can stand for `long`: its words' first letters in order, Latin capitals, or
    the first of its words.
    """
    words = _words(long)
    if len(words) < 2:
        return False
    key = match_form(short)
    initials = "".join(word.removeprefix("ال")[:1] for word in words)
    rest = iter(initials)
    return (
        _LATIN.fullmatch(short) is not None
        or key == words[0]
        or (len(key) > 2 and all(letter in rest for letter in key))
    )


def _collect(article: Article, found: list[_Found]) -> tuple[Entity, ...]:
    """Mentions joined to entities, both in reading order."""
    display = article.display
    lead = display.body.text.partition("\n")[0]
    placed = []
    for name in found:
        passage = name.passage
        start, end = passage.offsets.span(name.start, name.end)
        raw = article.raw_title if passage.field == "raw_title" else article.raw_body
        placed.append((Mention(passage.field, start, end, raw[start:end]), name))
    placed.sort(key=lambda pair: (pair[0].field != "raw_title", pair[0].start))

    drafts: dict[str, _Draft] = {}
    for mention, name in placed:
        draft = drafts.get(name.record.entity_id)
        if draft is None:
            draft = drafts[name.record.entity_id] = _Draft(name.record)
        draft.mentions.append(mention)
        draft.aliases[name.passage.text[name.start : name.end]] = None
        draft.in_title |= name.passage is display.title
        draft.in_lead |= name.passage is display.standfirst or (
            name.passage is display.body and name.start < len(lead)
        )
    return tuple(
        Entity(
            entity_id=entity_id,
            type=draft.record.type,
            name=draft.record.name,
            aliases=tuple(draft.aliases),
            mentions=tuple(draft.mentions),
            salience=_salience(draft.in_title, draft.in_lead, len(draft.mentions)),
            country=draft.record.country,
            latitude=draft.record.latitude,
            longitude=draft.record.longitude,
        )
        for entity_id, draft in drafts.items()
    )


def _salience(in_title: bool, in_lead: bool, count: int) -> float:
    """How much the article is about it, 0 to 1: .4 for the title, .2 for the standfirst or the
    first paragraph, and up to .4 for the number of mentions (half of that at two). Set by hand.
    """
    return round(0.4 * in_title + 0.2 * in_lead + 0.4 * count / (count + 2), 3)
