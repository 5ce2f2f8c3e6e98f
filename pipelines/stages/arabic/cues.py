"""The words with which a newsroom tells what an article does to its story: breaking, updated,
corrected, denied, withdrawn. They are looked for where newsrooms put them, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

from pipelines.offsets import OffsetMap
from pipelines.stages.arabic.layers import match_text

Place = Literal["label", "opening", "end", "body"]


class Cue(NamedTuple):
    """A cue's name, where it stands, its words parted by |, and what must follow them.

    A `label` opens the headline and is set off by a sign: تحديث: …, (محدث) …. An `opening` begins
    its sentence. An `end` closes it in brackets or behind a dash or bar. `body` is a label that
    opens the text's first line. A label and an end may be numbered: تحديث 2. `then` is a pattern of
    the match layer. `but` is a headline that looks like the example and has no cue.
    """

    name: str
    places: tuple[Place, ...]
    words: str
    then: str
    example: str
    but: str


# Who denies, or what is denied: نفي is also exile and the negation of an idea, يكذب also to lie.
_DENIAL = (
    "(?:ما|اي|ان|صحه|خبر|انباء|اخبار|شاءعه|شاءعات|اشاعه|تقارير|مزاعم|وجود|ل[^ ]+|رسمي|رسميا|قاطع|"
    "حكومي|مصدر|مصادر|متحدث|المتحدث|ناطق|الناطق)(?: |$)"
)
# A notice may be an advertisement, an explanation may explain anything.
_MISTAKE = ".*(?:خطا|سهو|خبر سابق|الصحيح|الصواب|غير صحيح|غير دقيق|ورد|نشر|نعتذر)"

CUES = (
    Cue(
        "urgent",
        ("label", "end", "body"),
        "عاجل|خبر عاجل|عاجل جدا|عاجل وهام|عاجل ومهم",
        "",
        "عاجل | انفجار وسط المدينة",
        "«عاجل» تفتح مكتباً جديداً",
    ),
    Cue(
        "urgent",
        ("opening",),
        "عاجل|خبر عاجل|عاجل جدا",
        # A letter to a minister; the newspaper عاجل.
        "(?!(?:الي|معالي|تنشر|تكشف|ترصد|تفتح) |ل(?:ل|معالي |سعاده |وزير |رءيس ))",
        "عاجل انفجار وسط المدينة",
        "عاجل إلى وزير الصحة",
    ),
    Cue(
        "update",
        ("label", "end", "body"),
        "تحديث|تحديث مستمر|تحديث متواصل",
        "",
        "تحديث 2: ارتفاع عدد الضحايا",
        "تحديث أنظمة البلدية",
    ),
    Cue(
        "update",
        ("label", "end"),
        "محدث|محدثة",
        "",
        "(محدّث) ارتفاع عدد الضحايا",
        "محدث الطبعة يروي حكايتها",
    ),
    Cue(
        "update",
        ("label",),
        "مقدمة 1|مقدمة 2|مقدمة 3|مقدمة 4|مقدمة 5",  # a news agency's leads
        "",
        "مقدمة 2-ارتفاع عدد الضحايا",
        "مقدمة: كيف كتبت هذه السيرة",
    ),
    Cue(
        "follow_up",
        ("label", "end"),  # not the body: there متابعة: stands before a reporter's name
        "متابعة",
        "",
        "متابعة | إخماد حريق الميناء",
        "متابعة الطلاب في المدارس",
    ),
    Cue(
        "correction",
        ("label", "end", "body"),
        "تصويب|تصويب خبر|تصويب واعتذار|تصحيح|تصحيح خبر|تصحيح واعتذار|استدراك",
        "",
        "تصويب: الحريق في الميناء القديم",
        "تصحيح أوضاع العمالة",
    ),
    Cue(
        "correction",
        ("label", "end"),
        "مصحح|مصححة|إعادة مصححة|إعادة مع التصحيح|إعادة للتصحيح|إعادة لتصحيح|إعادة للتصويب",
        "",
        "إعادة مصححة: الحريق في الميناء القديم",
        "إعادة فتح المطار",
    ),
    Cue(
        "correction",
        ("label", "body"),
        "تنويه|تنويه واعتذار|توضيح|توضيح واعتذار|اعتذار|اعتذار وتصويب|اعتذار وتصحيح",
        _MISTAKE,
        "تنويه: خطأ في خبر حريق الميناء",
        "توضيح: كيف تسجل في الضمان؟",
    ),
    Cue(
        "denial",
        ("label", "end"),
        "نفي|نفي رسمي|تكذيب",
        "",
        "نفي: لا استقالة في الوزارة",
        "تكذيب المرآة رواية جديدة",
    ),
    Cue(
        "denial",
        ("opening",),
        "نفي|تكذيب|يكذب|تكذب",
        _DENIAL,
        "نفى المتحدث استقالة الوزير",
        "نُفي الشاعر إلى جزيرة نائية",
    ),
    Cue(
        "denial",
        ("opening",),  # whoever denies, and be it a charge in court
        "ينفي|تنفي|ينفيان|تنفيان|نفت",
        "",
        "تنفي التهم الموجهة إليها",
        "الوزيرة تنفي التهم الموجهة إليها",
    ),
    Cue(
        "withdrawal",
        ("opening", "end", "body"),
        "سحب خبر|سحب الخبر|إلغاء خبر|إلغاء الخبر|حذف خبر|حذف الخبر",
        "",
        "سحب خبر الاستقالة",
        "سحب قوات من الحدود",
    ),
)


class _Rule(NamedTuple):
    name: str
    words: re.Pattern[str]
    then: re.Pattern[str]


class _Line(NamedTuple):
    """A line in the display layer, its match layer, and the way back."""

    display: str
    text: str
    offsets: OffsetMap

    def gap(self, end: int) -> str:
        """What the display has between a word's last character and the next word."""
        after = self.offsets.span(end - 1, end)[1]
        if end == len(self.text):
            return self.display[after:]
        return self.display[after : self.offsets.span(end + 1, end + 2)[0]]


_FIRST_LETTERS = 3
_PREFIX = 24  # characters: the first letters with their harakat, brackets and emoji before them
_TAIL = 30
_LINE = 200
_NUMBER = re.compile(" (?:[0-9]{1,2}|اول|ثان|ثاني|ثالث|رابع)(?= |$)")
_SIGN = re.compile(r"[:|\-–—…/!•*>)\]}؛_]|\.\.|\sـ")
_END_SIGNS = frozenset("-–—|/ـ)]}")
_QUOTES = ("«", '"', "“", "”")
_OPEN_BRACKET = re.compile(r"[(\[{]\s*\Z")
_CLOSE_BRACKET = re.compile(r"[)\]}]")
_DASH = re.compile(r"(?:\s[-/ـ]+|[–—|]+)\s*\Z")
_FOLDS = {point: match_text(chr(point))[0] for point in range(0x0600, 0x0700)}


def cues_of(title: str, body: str = "") -> tuple[str, ...]:
    """The cues of a headline and of a text's first line, both in the display layer: each once, in
    the order found.
    """
    line = body[:_LINE].partition("\n")[0]
    return tuple(dict.fromkeys((*_of_headline(title), *_of_first_line(line))))


def _of_headline(title: str) -> Iterator[str]:
    opens = _may_open(title, _HEADLINE_BEGINNINGS)
    ends = not _END_SIGNS.isdisjoint(title[-_TAIL:])
    if not opens and not ends:
        return
    line = _Line(title, *match_text(title))
    if opens:
        at = 0
        while found := _label(line, at, _LABELS):
            name, at = found
            yield name
        yield from _opening(line, at)
    if ends:
        yield from _end(line)


def _of_first_line(display: str) -> Iterator[str]:
    if _may_open(display, _BODY_BEGINNINGS):
        found = _label(_Line(display, *match_text(display)), 0, _BODY)
        if found:
            yield found[0]


def _may_open(display: str, beginnings: frozenset[str]) -> bool:
    """Whether a line begins with the letters of a cue: nearly none does, and it is quickly told."""
    letters = filter(str.isalpha, display[:_PREFIX].translate(_FOLDS))
    return "".join(islice(letters, _FIRST_LETTERS)) in beginnings


def _label(line: _Line, at: int, rules: tuple[_Rule, ...]) -> tuple[str, int] | None:
    """The cue that stands at `at` and is set off by a sign, and where the text goes on."""
    for rule in rules:
        if not (found := rule.words.match(line.text, at)):
            continue
        end = found.end()
        number = _NUMBER.match(line.text, end)
        if number and not _SIGN.search(line.gap(end)):
            end = number.end()
        set_off = end == len(line.text) or _SIGN.search(line.gap(end))
        if set_off and rule.then.match(line.text, end + 1):
            return rule.name, end + 1
    return None


def _opening(line: _Line, at: int) -> Iterator[str]:
    if line.display.startswith(_QUOTES):  # «عاجل» is somebody's name
        return
    for rule in _OPENINGS:
        if (found := rule.words.match(line.text, at)) and rule.then.match(
            line.text, found.end() + 1
        ):
            yield rule.name
            return


def _end(line: _Line) -> Iterator[str]:
    for rule in _ENDS:
        if not (found := rule.words.search(line.text)):
            continue
        before = line.gap(found.start())
        closed = _CLOSE_BRACKET.search(line.gap(len(line.text)))
        if _OPEN_BRACKET.search(before) if closed else _DASH.search(before):
            yield rule.name
            return


def _rules(place: Place) -> tuple[_Rule, ...]:
    before, after = (" ", f"(?:{_NUMBER.pattern})?$") if place == "end" else ("", "(?= |$)")
    return tuple(
        _Rule(
            cue.name,
            re.compile(f"{before}(?:{'|'.join(_words(cue))}){after}"),
            re.compile(cue.then),
        )
        for cue in CUES
        if place in cue.places
    )


def _words(cue: Cue) -> list[str]:
    """The longest first: of two that match, it is the one meant."""
    return sorted((match_text(words)[0] for words in cue.words.split("|")), key=len, reverse=True)


_LABELS, _OPENINGS, _ENDS, _BODY = (
    _rules("label"),
    _rules("opening"),
    _rules("end"),
    _rules("body"),
)


def _beginnings(*places: Place) -> frozenset[str]:
    cues = [cue for cue in CUES if not set(places).isdisjoint(cue.places)]
    return frozenset(words[:_FIRST_LETTERS] for cue in cues for words in _words(cue))


_HEADLINE_BEGINNINGS = _beginnings("label", "opening")
_BODY_BEGINNINGS = _beginnings("body")
