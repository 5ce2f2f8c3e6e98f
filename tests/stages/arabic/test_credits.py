"""Who and where a credit names: in a text, and in the author field of a message."""

import pytest

from pipelines.stages.arabic.credits import (
    agency_of,
    begins_like_person,
    credits_photo,
    read_author,
    read_credit,
)


@pytest.mark.parametrize(
    ("text", "agency"),
    [
        ("أ.ف.ب", "فرانس برس"),
        ("أ. ف. ب.", "فرانس برس"),
        ("وكالة فرانس برس", "فرانس برس"),
        ("ا ف ب", "فرانس برس"),
        ("«رويترز»", "رويترز"),
        ("د.ب.أ", "د ب أ"),
        ("أ ب", "أسوشيتد برس"),
        ("رويترز، أ ف ب", "رويترز"),
        ("واس + وكالات", "واس"),
        ("الوكالات", "وكالات"),
        ("سانا", "سانا"),
        ("كونا", "كونا"),
        ("شينخوا", "شينخوا"),
        ("آب", ""),
        ("الأناضول، الوزير", ""),
        ("جدة", ""),
        ("", ""),
    ],
)
def test_agencies_by_their_spellings(text: str, agency: str):
    """Agencies are known by all their spellings, the first of several; أ ب is not the month آب."""
    assert agency_of(text) == agency


# What the author field of messages looks like: agency, dateline, byline, outlet.
AUTHORS = [
    ("الرياض - واس", "واس", "الرياض", "", ""),
    ("واس- الرياض:", "واس", "الرياض", "", ""),
    ("رويترز", "رويترز", "", "", ""),
    ("سبق- وكالات:", "وكالات", "", "", "سبق"),
    ("سعاد الأحمد (الرياض)", "", "الرياض", "سعاد الأحمد", ""),
    ("&nbsp;عكاظ (جدة)", "", "جدة", "", "عكاظ"),
    ("\xa0واس (جدة)", "واس", "جدة", "", ""),
    ("لندن: «الشرق الأوسط»", "", "لندن", "", "الشرق الأوسط"),
    ("واشنطن: محمد علي الأحمد", "", "واشنطن", "محمد علي الأحمد", ""),
    ("«الاقتصادية» من الرياض", "", "الرياض", "", "الاقتصادية"),
    ("سامر الأحمد من جدة", "", "جدة", "سامر الأحمد", ""),
    ("القاهرة - مكتب الجزيرة - سامر الأحمد:", "", "القاهرة", "سامر الأحمد", ""),
    ("الوئام - متابعات:", "", "", "", "الوئام"),
    ("كتب - سامر الأحمد:", "", "", "سامر الأحمد", ""),
    ("سامر الأحمد- سبق- الخرمة:", "", "الخرمة", "سامر الأحمد", "سبق"),
    ("مهنا السامر- سبق- الدوير:", "", "الدوير", "مهنا السامر", "سبق"),
    ("كانو - لندن: «الشرق الأوسط»", "", "كانو", "", "الشرق الأوسط"),
    ("الدمام، الأحساء – سامر الأحمد، ليلى العلي", "", "الدمام", "سامر الأحمد، ليلى العلي", ""),
    ("الرياض، تحقيق- ليلى العلي", "", "الرياض", "ليلى العلي", ""),
    ("بغداد، أربيل - رويترز، ا ف ب", "رويترز", "بغداد", "", ""),
    ("سامر الأحمد، أ ف ب - تونس", "فرانس برس", "تونس", "سامر الأحمد", ""),
    ("هويرسفردا(ألمانيا) - د ب أ", "د ب أ", "هويرسفردا", "", ""),
    ("تورينو - (د ب أ):", "د ب أ", "تورينو", "", ""),
    ("أ ف ب - سان خوسيه", "فرانس برس", "سان خوسيه", "", ""),
    ("واشنطن رويترز", "رويترز", "واشنطن", "", ""),
    ('لندن "رويترز', "رويترز", "لندن", "", ""),
    ("سامر الأحمد - الطائف            تصوير: فهد العلي", "", "الطائف", "سامر الأحمد", ""),
    ("سامر الأحمد \t المدينة المنورة", "", "المدينة المنورة", "سامر الأحمد", ""),
    ("الرس - سامر الأحمد / تصوير - فهد العلي:", "", "الرس", "سامر الأحمد", ""),
    ("تصوير: واس", "", "", "", ""),
    ("كتب: محمد", "", "", "", ""),
    ("د. سامر الأحمد", "", "", "د. سامر الأحمد", ""),
    ("على محمد الأحمد", "", "", "على محمد الأحمد", ""),
    ("الرياض - ثقافة اليوم", "", "الرياض", "", ""),
    ("وكالة نخلة للأنباء", "وكالة نخلة للأنباء", "", "", ""),
    ("(زائر)", "", "", "", ""),
    ("", "", "", "", ""),
    ("الحمد لله وحده، وبعد فهذا ما كان من أمر الجسر:", "", "", "", ""),
    ("بقلق شديد، وبانتظار أخبار مفرحة، سأله:", "", "", "", ""),
]


@pytest.mark.parametrize(("author", "agency", "dateline", "byline", "outlet"), AUTHORS)
def test_authors_are_credits(author: str, agency: str, dateline: str, byline: str, outlet: str):
    """Agency, place, person and paper come out of the author field as feeds fill it."""
    credit = read_author(author)
    found = (credit.agency, credit.dateline, credit.outlet)
    assert found == (agency, dateline, outlet)
    if byline:
        assert credit.byline == byline


@pytest.mark.parametrize(
    ("author", "source", "dateline", "outlet"),
    [
        ("المدينة - جدة", "", "جدة", "المدينة"),
        ("سامر الأحمد - المدينة", "", "المدينة المنورة", ""),
        ("المدينة - الوئام - سامر الأحمد :", "", "المدينة المنورة", "الوئام"),
        ("المدينة - واس", "", "المدينة المنورة", ""),
        ("المدينة - واس", "صحيفة المدينة", "", "المدينة"),
        ("دبي - الرياض", "", "دبي", "الرياض"),
        ("القاهرة - الرياض - سامر الأحمد", "", "القاهرة", "الرياض"),
        ("عدن: سامر الأحمد - الرياض: ليلى العلي", "", "عدن", ""),
        ("الرياض - جدة", "", "الرياض", ""),
        ("الجزيرة - الرياض:", "", "الرياض", "الجزيرة"),
        ("اليوم - الدمام", "", "الدمام", "اليوم"),
        ("سامر الأحمد (الرياض) ليلى العلي (حائل)", "", "الرياض", ""),
        ("سامر الأحمد - دفاتر النهار", "دفاتر النهار", "", "دفاتر النهار"),
    ],
)
def test_papers_called_like_towns(author: str, source: str, dateline: str, outlet: str):
    """A name of both is the paper beside another place, or where the source says so."""
    credit = read_author(author, source)
    assert (credit.dateline, credit.outlet) == (dateline, outlet)


@pytest.mark.parametrize(
    ("text", "colon", "is_line"),
    [
        ("عين اليوم – سامر الأحمد – أبها", False, True),
        ("دمشق - سانا", False, True),
        ("عنب بلدي – خاص", False, True),
        ("بغداد ـ الميناء نيوز", False, True),
        ("رويترز", False, True),
        ("صدى الميناء - سامر الأحمد", True, True),
        ("صدى الميناء - سامر الأحمد", False, False),
        ("سامر الأحمد - ليلى العلي", True, True),
        ("كردستان - العراق", False, False),
        ("دمشق - بيروت", False, False),
        ("الرياض", False, False),
        ("وقال الوزير - في بيروت", True, False),
        ("سبق تقول للمسؤول", True, False),
        ("انطلاق الميناء ـ عربي اليوم", False, False),
        ("أسعار النفط - بيروت", False, False),
    ],
)
def test_lines_of_credits(text: str, colon: bool, is_line: bool):
    """A line is a credit when it names who sends; two places or two phrases are none."""
    credit = read_credit(text)
    assert credit is not None
    assert credit.is_line(colon=colon) == is_line


def test_dates_are_no_part_of_a_credit():
    """Agencies date their lines: place and agency are found around the date."""
    for text in (
        "الرياض 01 جمادى الآخرة 1438 هـ الموافق 28 فبراير 2017 م واس",
        "الرياض في 1 مارس / واس",
        "الرياض 28 شباط/فبراير (واس)",
        "الرياض أول مارس 2017 (واس)",
    ):
        credit = read_credit(text)
        assert credit is not None
        assert (credit.dateline, credit.agency, credit.unread) == ("الرياض", "واس", 0)


def test_persons_and_photos():
    """Given names and titles begin persons' names; agencies, archives and papers credit photos."""
    assert begins_like_person("عبدالرحمن الأحمد")
    assert begins_like_person("د. نخلة")
    assert not begins_like_person("صدى الميناء")
    assert credits_photo("أ.ف.ب/Getty")
    assert credits_photo("الأناضول - أرشيف")
    assert not credits_photo("الشمال")
