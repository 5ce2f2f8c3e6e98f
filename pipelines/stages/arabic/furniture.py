"""What an Arabic news page prints around an article: rules as data.

A rule takes a line away only when nothing but furniture reads like it; in doubt the line stays.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple


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
