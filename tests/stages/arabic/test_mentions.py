"""Dates in running text: what is one, which day it means, and that offsets are exact."""

from __future__ import annotations

import json
import lzma
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.records import Article, Passage, Time
from pipelines.stages.arabic.layers import display_text
from pipelines.stages.clean import clean
from pipelines.stages.normalize import normalize
from pipelines.stages.times import parse_time

SHARED = Path(os.environ.get("KHABAR_SHARED", Path(__file__).parents[4] / "shared"))
SAUDI = SHARED / "data" / "news" / "saudinewsnet-dev.jsonl.xz"

# A Wednesday, at noon where it was written.
OWN = Time(int(datetime(2017, 11, 15, 12, tzinfo=UTC).timestamp() * 1000), "", "given", 1.0)


def article(body: str, own: Time = OWN, title: str = "") -> Article:
    """An article whose body is nothing but text, through both layers."""
    text, offsets = display_text(body)
    head, head_offsets = display_text(title)
    made = Article("x", raw_title=title, raw_body=body, published=own)
    display = replace(
        made.display,
        title=Passage(head, "raw_title", head_offsets),
        body=Passage(text, "raw_body", offsets),
        language="ar",
    )
    return normalize(replace(made, display=display))


def dates(body: str, own: Time = OWN) -> list[tuple[str, str]]:
    return [(mention.text, mention.date) for mention in article(body, own).dates]


def without_brackets(text: str) -> tuple[str, str]:
    """The text, and what stood in brackets in it."""
    before, _, rest = text.partition("[")
    inside, _, after = rest.partition("]")
    return before + inside + after, inside


@pytest.mark.parametrize(
    ("text", "day", "calendar", "confidence"),
    [
        ("وقع ذلك في [5 مايو 2015] هناك", "2015-05-05", "g", 0.9),
        ("منذ [٥ أيار/مايو ٢٠١٥م].", "2015-05-05", "g", 0.9),
        ("في [5 مايو (أيار) من عام 2015]", "2015-05-05", "g", 0.9),
        ("يوم [الثلاثاء 5 مايو 2015]", "2015-05-05", "g", 0.95),
        ("يوم [الأحد 5 مايو 2015]", "2015-05-05", "g", 0.3),
        ("[الأول من نيسان 2015]", "2015-04-01", "g", 0.9),
        ("[الحادي عشر من سبتمبر 2001]", "2001-09-11", "g", 0.9),
        ("[الثاني والعشرين من شهر مارس 2014]", "2014-03-22", "g", 0.9),
        ("[الـ26 من فبراير 2016]", "2016-02-26", "g", 0.9),
        ("منذ [كانون الثاني 2014] وحتى", "2014-01", "g", 0.9),
        ("بتاريخ [25/12/2014] صدر", "2014-12-25", "g", 0.9),
        ("بتاريخ [3/4/2014] صدر", "2014-04-03", "g", 0.6),
        ("يوم [الأحد 3/4/2014]", "2014-04-03", "g", 0.3),
        ("يوم [الثلاثاء 3/4/2012]", "2012-04-03", "g", 0.95),
        ("يوم [الأحد 3/4/2012]", "2012-03-04", "g", 0.95),
        ("في [2014-12-25] صدر", "2014-12-25", "g", 0.9),
        ("في [3 صفر 1437هـ].", "2015-11-15", "h", 0.9),
        ("حتى [8 رمضان المقبل 1439هـ]", "2018-05-23", "h", 0.9),
        ("يوم [الأحد الموافق 3 / 2 / 1437 هـ]", "2015-11-15", "h", 0.95),
        ("يوم [الاثنين 3 صفر 1437]", "2015-11-16", "h", 0.9),
    ],
)
def test_dates_with_their_year(text: str, day: str, calendar: str, confidence: float):
    """They need no time of the article's own; weekdays raise or lower what is believed of them."""
    body, mention = without_brackets(text)
    for own in (OWN, Time()):
        (found,) = article(body, own).dates
        assert (found.text, found.date, found.calendar[0]) == (mention, day, calendar)
        assert (found.relative, found.confidence) == (False, confidence)


@pytest.mark.parametrize(
    ("text", "mention", "day"),
    [
        # Without a year: the nearest, or the one that الماضي and المقبل say.
        ("في 20 نوفمبر", "20 نوفمبر", "2017-11-20"),
        ("في 5 يناير", "5 يناير", "2018-01-05"),
        ("في 5 يناير الماضي", "5 يناير الماضي", "2017-01-05"),
        ("في 14 نوفمبر المقبل", "14 نوفمبر المقبل", "2018-11-14"),
        ("في 5 مايو من العام المقبل", "5 مايو من العام المقبل", "2018-05-05"),
        ("يوم الاثنين 20 نوفمبر", "الاثنين 20 نوفمبر", "2017-11-20"),
        ("يوم الأحد 20 نوفمبر", "الأحد 20 نوفمبر", "2016-11-20"),
        ("حتى 18 صفر الجاري", None, None),
        ("حتى 18 من شهر صفر الجاري", "18 من شهر صفر الجاري", "2017-11-07"),
        ("في 25 رمضان الماضي", "25 رمضان الماضي", "2017-06-20"),
        # Weekdays: the last one up to the article's own day.
        ("قتل ثلاثة يوم الجمعة في", "الجمعة", "2017-11-10"),
        ("قتل ثلاثة مساء الأربعاء في", "الأربعاء", "2017-11-15"),
        ("أعلنت الوزارة، الثلاثاء، أن", "الثلاثاء", "2017-11-14"),
        ("أعلنت الوزارة، الجمعة، أن", None, None),
        ("قتل ثلاثة يوم الخميس في", None, None),  # six days ago, or tomorrow
        ("في الجمعة الماضية", "الجمعة الماضية", "2017-11-10"),
        ("في الأربعاء الماضي", "الأربعاء الماضي", "2017-11-08"),
        ("في الأربعاء المقبل", "الأربعاء المقبل", "2017-11-22"),
        ("في الخميس القادم", "الخميس القادم", "2017-11-16"),
        ("في الخميس قبل الماضي", None, None),
        ("سيقام الحفل مساء الخميس في", "الخميس", "2017-11-16"),
        ("يصل السبت، وفي يوم الجمعة غادر", "الجمعة", "2017-11-10"),
        ("وأول من أمس وصل", "أول من أمس", "2017-11-13"),
        ("في 5 مايو الماضي 1959 فرعا", "5 مايو الماضي", "2017-05-05"),
        ("ومساء الثلاثاء وصل", "الثلاثاء", "2017-11-14"),
        # Words that count from today.
        ("أعلنت الوزارة اليوم أن", "اليوم", "2017-11-15"),
        ("في بيان لها اليوم أن", "اليوم", "2017-11-15"),
        ("وصل صباح اليوم", "اليوم", "2017-11-15"),
        ("وصل أمس إلى", "أمس", "2017-11-14"),
        ("وأمس وصل", "أمس", "2017-11-14"),
        ("وصل أول من أمس إلى", "أول من أمس", "2017-11-13"),
        ("وصل أمس الأول إلى", "أمس الأول", "2017-11-13"),
        ("وصل أول أمس الاثنين إلى", "أول أمس الاثنين", "2017-11-13"),
        ("وصل أمس (الثلاثاء) إلى", "أمس (الثلاثاء)", "2017-11-14"),
        ("يصل غداً إلى", "غداً", "2017-11-16"),
        ("يصل غدا الخميس إلى", "غدا الخميس", "2017-11-16"),
        ("يصل مساء غد إلى", "غد", "2017-11-16"),
        ("يصل بعد غد إلى", "بعد غد", "2017-11-17"),
    ],
)
def test_what_counts_from_the_articles_own_day(text: str, mention: str | None, day: str | None):
    """It is resolved against that day and marked; without it, it is no mention at all."""
    found = article(text).dates
    assert [(each.text, each.date) for each in found] == ([(mention, day)] if mention else [])
    assert all(each.relative for each in found)
    assert article(text, Time()).dates == ()
    assert article(text, replace(OWN, confidence=0.4)).dates == ()


@pytest.mark.parametrize(
    "text",
    [
        "صحيفة «اليوم» الصادرة",
        "قالت قناة روسيا اليوم إن",
        "وصل الوزير الذي قال إن السوق اليوم أفضل",
        "في ذلك اليوم وصل",
        "بدأ اليوم الوطني",
        "اليوم الأول",
        "العالم اليوم يتغير",
        "وهي في أمس الحاجة إلى",
        "غدا الفريق بطلا",
        "كنا بالأمس القريب هنا",
        "صلاة الجمعة في المسجد",
        "زار محمد الخميس المدينة",
        "يوم السبت من كل أسبوع",
        "التعارف بين الاثنين",
        "قالت تيريزا ماي إن",
        "الرئيس رجب طيب أردوغان",
        "فاز 2 - صفر على",
        "سافرت بدون محرم",
        "في مايو وصل",
        "في شهر رمضان المبارك",
        "شارع 26 يوليو في القاهرة",
        "مدينة 6 أكتوبر",
        "النصف الثاني من مايو",
        "بسعر 3.5 مايو",
        "في 15 يونيو 1215 وقع",
        "السبت 15 شوال سنة ثلاث من الهجرة",
        "في 5 مايو من العام نفسه",
        "في 18 مايو من كل عام",
        "الهاتف 12/25/2014/7",
        "عام 2014",
        "في 31 فبراير 2014",
        "في 3 صفر 1200هـ",
    ],
)
def test_what_is_no_date(text: str):
    """Names, ordinary words, kinds of days, bare months and years, days that do not exist."""
    assert dates(text) == []


def test_two_calendars_bear_each_other_out():
    """Both are mentioned, surer than each alone, the Hijri one as the civil day; when they
    contradict each other, both are doubted."""
    text = "يوم الاثنين 3 صفر 1437هـ الموافق 16 نوفمبر 2015م"
    found = article(text).dates
    assert [(m.calendar, m.date, m.confidence) for m in found] == [
        ("hijri", "2015-11-16", 0.95),
        ("gregorian", "2015-11-16", 0.95),
    ]
    found = article(text.replace("16", "26")).dates
    assert [(m.date, m.confidence) for m in found] == [("2015-11-15", 0.3), ("2015-11-26", 0.3)]
    found = article("27 شوال (12 أغسطس 2015)").dates
    assert [m.date for m in found] == ["2015-08-12", "2015-08-12"]


def test_the_year_of_a_range_counts_for_both_ends():
    """من 29 ذي القعدة إلى 2 ذي الحجة 1423 is within one year."""
    text = "من 29 ذي القعدة إلى 2 ذي الحجة 1423هـ"
    assert [day for _, day in dates(text)] == ["2003-02-01", "2003-02-03"]


def test_the_article_says_what_today_is():
    """An article that calls another weekday today than its time is of that day: what counts from
    today counts from there, and is believed the less the further it is."""
    late = "أعلنت الوزارة اليوم الثلاثاء أن الوفد وصل أمس"
    found = article(late).dates
    assert [(m.text, m.date, m.confidence) for m in found] == [
        ("اليوم الثلاثاء", "2017-11-14", 0.8),
        ("أمس", "2017-11-13", 0.8),
    ]
    # No article is of the day after its time: that one is a slip, and أمس is not today.
    found = article(late.replace("الثلاثاء", "الخميس")).dates
    assert [(m.date, m.confidence) for m in found] == [("2017-11-16", 0.8), ("2017-11-14", 0.8)]
    found = article(late.replace("الثلاثاء", "السبت")).dates
    assert [(m.date, m.confidence) for m in found] == [("2017-11-11", 0.3), ("2017-11-10", 0.3)]


def test_a_date_without_its_year_far_off():
    """More than 90 days off, the nearest year is right about as often as another."""
    near, far, said = article("في 20 نوفمبر. وفي 20 مارس. وفي 20 مارس الماضي").dates
    assert [m.date for m in (near, far, said)] == ["2017-11-20", "2018-03-20", "2017-03-20"]
    assert [m.confidence for m in (near, far, said)] == [0.8, 0.6, 0.8]


def test_a_weekday_five_days_ago_may_be_to_come():
    """The further back the last such weekday is, the likelier the next one is meant."""
    found = article("اجتمعوا مساء الأحد. وتفرقوا مساء الجمعة.").dates
    assert [(m.date, m.confidence) for m in found] == [("2017-11-12", 0.8), ("2017-11-10", 0.6)]


def test_the_day_where_it_was_written():
    """At 22:00 UTC it is tomorrow in Riyadh, and أمس there is today."""
    night = parse_time("2017-11-15T22:00:00Z")
    for own, day in ((night, "2017-11-14"), (replace(night, offset=180), "2017-11-15")):
        assert dates("وصل أمس إلى", own) == [("أمس", day)]


def test_at_two_at_night():
    """Then اليوم is the day that has ended, unless something is to come, أمس is still yesterday,
    and neither is sure; a date alone is no night."""
    night = replace(OWN, utc=OWN.utc - 10 * 3600 * 1000)
    text = "وصل صباح اليوم. وكان غادر أمس. ويقام الحفل مساء اليوم"
    found = article(text, night).dates
    assert [m.date[-2:] for m in found] == ["14", "14", "15"]
    assert {m.confidence for m in found} == {0.6}
    found = article(text, replace(OWN, utc=OWN.utc - 12 * 3600 * 1000)).dates
    assert [(m.date[-2:], m.confidence) for m in found] == [("15", 0.8), ("14", 0.8), ("15", 0.8)]


def test_title_first_and_spans_exact():
    """Mentions come in reading order, each with its own raw text, tatweel and harakat included."""
    made = article("وصل أمـــسِ. وفي 5 مايو\u200f 2015 هـ غادر", title="الوفد يصل اليوم")
    found = [(m.field, m.text) for m in made.dates]
    assert found[:2] == [("raw_title", "اليوم"), ("raw_body", "أمـــسِ")]
    assert found[2][1].startswith("5 مايو\u200f 2015")


def test_other_languages_have_none():
    """The words are Arabic's: a Persian article has no mentions."""
    made = article("در 5 مارس 2015")
    persian = replace(made, dates=(), display=replace(made.display, language="fa"))
    assert normalize(persian).dates == ()


WORDS = """اليوم أمس غداً غد بعد أول من الأول الجمعة الأحد يوم مساء يومي و في 5 31 2015 1437 1437هـ
مايو أيار كانون الثاني صفر شوال ذي القعدة رمضان الماضي المقبل العام عام الموافق / - . ( ) « » الى
والعشرين العشرين السابع عشر شهر 25/12/2014 2014-1-2 سيقام أعلن الحاجة"""
some_words = st.lists(st.sampled_from(WORDS.split()), max_size=25).flatmap(
    lambda words: st.sampled_from([" ", "\n", "  ", "ـ "]).map(lambda gap: gap.join(words))
)


@given(
    some_words | st.text(alphabet=st.characters(codec="utf-8")),
    st.sampled_from([OWN, Time(), Time(-62_135_596_800_000, "", "given", 1.0)])
    | st.integers(-62_135_596_800_000, 253_402_300_799_999).map(lambda t: replace(OWN, utc=t)),
)
def test_any_text(body: str, own: Time):
    """No text raises, every mention is exactly its raw span, in order and without overlap, and its
    date exists."""
    made = article(body, own, title=body[:30])
    last = ("raw_title", 0)
    for mention in made.dates:
        raw = getattr(made, mention.field)
        assert raw[mention.start : mention.end] == mention.text != ""
        assert (mention.field == "raw_body", mention.start) >= (last[0] == "raw_body", last[1])
        last = (mention.field, mention.end)
        date.fromisoformat(mention.date if len(mention.date) > 7 else f"{mention.date}-01")
        assert 0 < mention.confidence < 1


@pytest.mark.skipif(not SAUDI.exists(), reason="the shared data is not there")
def test_real_articles():
    """In 500 real articles every mention is its raw span, and some are found."""
    found = 0
    with lzma.open(SAUDI, "rt", encoding="utf-8") as lines:
        for line, _ in zip(lines, range(500), strict=False):
            fields = json.loads(line)
            raw = Article(
                "x",
                raw_title=fields["title"] or "",
                raw_body=fields["body"] or "",
                published=parse_time(fields["date"]),
            )
            for mention in normalize(clean(raw)).dates:
                text = getattr(raw, mention.field)
                assert text[mention.start : mention.end] == mention.text
                found += 1
    assert found > 250
