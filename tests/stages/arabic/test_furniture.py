"""The table of furniture: each rule takes its example, and no text."""

import pytest

from pipelines.stages.arabic.furniture import (
    RULES,
    Found,
    end_furniture,
    line_furniture,
    start_furniture,
)

TITLE = "افتتاح جسر جديد فوق النهر"
FIRST = (
    "افتتح وزير النقل صباح اليوم جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل "
    "المتواصل الذي شاركت فيه شركات محلية عدة."
)
WHERES = ("head", "tail", "any", "list")


def furniture(text: str, where: str) -> Found | None:
    if where == "start":
        return start_furniture(text, 0, len(text))
    if where == "end":
        return end_furniture(text, 0, len(text))
    return line_furniture(text, where)


def placed(example: str, where: str) -> list[str]:
    """The example where it may stand: alone, before or behind a text with or without a stop."""
    if where == "start":
        return [f"{example} {FIRST}"]
    if where == "end":
        return [f"{FIRST} {example}", f"{FIRST[:-1]} {example}"]
    return [example]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.where}:{rule.example}")
def test_every_rule_takes_its_example(rule):
    """A rule's example is furniture of its kind at its place, and all of it is taken."""
    taken = []
    for text in placed(rule.example, rule.where):
        found = furniture(text, rule.where)
        if found:
            assert found.kind == rule.kind
            taken.append(text[found.start : found.end].strip())
    assert taken, "no rule of the place takes the example"
    assert set(taken) == {rule.example}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.where}:{rule.example}")
def test_no_rule_takes_text(rule):
    """Neither a headline nor a paragraph is furniture, whole or at its edges."""
    for text in (TITLE, FIRST, FIRST[:-1]):
        assert not rule.pattern.fullmatch(text)
        assert furniture(text, rule.where) is None


@pytest.mark.parametrize(
    "line",
    [
        "سمات الشخصية القيادية في الإدارة الحديثة.",
        "وقال المساهمون إنهم راضون عن النتائج",
        "المصدر: هذا ما لا يعرفه أحد حتى الآن في المدينة كلها، ولا خارجها أيضاً",
        "تابعوا النشرة الجوية قبل السفر",
        "انتهى الاجتماع",
        "رابط الدم أقوى من سواه",
        "أخبار ذات صلة بالجسر وصلت متأخرة",
        "طباعة الكتب مهنة قديمة",
        "كتب محمد رسالة طويلة إلى أخيه عن الجسر",
        "شارك في الافتتاح وزير النقل",
        "جاء في التقرير: ثلاث سنوات من العمل",
        "(آب)",
        "تصوير: 1500 مشهد في عام",
        "الخط:",
        "A+",
        "قراءة 2",
        "تابعنا ما جرى في مواقع القتال طوال الليل",
        "تابعنا على تويتر ما كتبه الوزير",
        "انضم إلى قناة الميناء عام 1996 مراسلاً من الجبهة",
        "اشترك في خدمة العلم ثلاث سنوات",
        "انضموا إلى مجموعتنا الصغيرة من المتطوعين",
        "الأكثر تداولاً",
        "تقرير: ارتفاع أسعار النفط",
        "حوار: مستقبل الميناء",
        "من عبد الناصر والسادات",
        "المصدر: لا تعليق لدي على ذلك",
        "الكرم والشجاعة سمات العربي الأصيل",
        "ثم كتب في دفتره - انتهى",
    ],
)
def test_lines_that_begin_like_furniture_are_text(line: str):
    """The words of a label inside a sentence are the sentence's."""
    assert line_furniture(line, *WHERES) is None
    assert end_furniture(f"{FIRST} {line}", 0, len(FIRST) + 1 + len(line)) is None


@pytest.mark.parametrize(
    ("line", "where", "facts"),
    [
        ("المصدر: الميناء", "tail", {"outlet": "الميناء"}),
        ("المصدر : الجزيرة نت + وكالات", "tail", {"agency": "وكالات", "outlet": "الجزيرة نت"}),
        ("نقلاً عن أ.ف.ب", "tail", {"agency": "فرانس برس"}),
        ("كتبت ـ ليلى العلي", "head", {"byline": "ليلى العلي"}),
        ("من ليلى العلي", "head", {"byline": "ليلى العلي"}),
        ("المكلا ــ نخلة", "head", {"dateline": "المكلا", "sender": "نخلة"}),
    ],
)
def test_what_furniture_tells(line: str, where: str, facts: dict[str, str]):
    """The groups of a rule become facts, agencies under their canonical names."""
    found = furniture(line, where)
    assert found is not None
    assert found.facts == facts


@pytest.mark.parametrize(
    ("line", "where"),
    [("الجسر ــ نخلة", "head"), ("المكلا ــ صنعاء", "head"), ("من ثلاث جهات", "head")],
)
def test_groups_must_hold(line: str, where: str):
    """Where no place, no unknown sender or no person stands, the rule does not apply."""
    assert furniture(line, where) is None
