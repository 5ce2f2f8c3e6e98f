"""The parts of a page: what is text, what is furniture, and that nothing vanishes untold."""

import os
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.records import Article, Passage, StageError, Time
from pipelines.stages.arabic.furniture import RULES
from pipelines.stages.arabic.layers import display_text
from pipelines.stages.clean import clean
from pipelines.stages.markup import visible_text
from pipelines.stages.normalize import normalize

SHARED = Path(os.environ.get("KHABAR_SHARED", Path(__file__).parents[3] / "shared"))
SEEDS = SHARED / "data" / "seeds"
TITLE = "افتتاح جسر جديد فوق النهر"
FIRST = (
    "افتتح وزير النقل صباح اليوم جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل "
    "المتواصل الذي شاركت فيه شركات محلية عدة."
)
SECOND = (
    "وقال الوزير إن الجسر سيخفف الازدحام في وسط المدينة، "
    "مضيفاً أن العمل في طريق ثانٍ يبدأ في الشهر المقبل."
)


def cleaned(body: str, title: str = "", **fields: str) -> Article:
    return clean(Article("x", raw_title=title, raw_body=body, **fields))


def kinds(article: Article) -> list[tuple[str, str]]:
    return [(f.kind, article.raw_body[f.start : f.end]) for f in article.display.furniture]


def test_a_page_from_top_to_bottom():
    """Headline, repetition, outlet, date, byline, caption and labels come off; the text stays."""
    body = "\r\n".join(
        [
            TITLE,
            "",
            "افتتاح  جسر جديدٍ فوق النهر",
            "شام إف إم - سامر الأحمد:",
            "السبت 11/نوفمبر/2017 - 12:04 ص",
            "سامر الأحمد",
            "طباعة",
            "الجسر الجديد عند افتتاحه (فرانس برس)",
            "+ الخط -",
            "\u00a0",
            FIRST,
            SECOND,
            "المصدر: الأخبار",
            "المساهمون",
        ]
    )
    article = cleaned(body)
    display = article.display
    assert display.title.text == TITLE
    assert display.title.field == "raw_body"
    assert display.body.text == f"{FIRST}\n\n{SECOND}"
    assert display.standfirst.text == ""
    assert display.outlet == "شام إف إم"
    assert display.byline == "سامر الأحمد"
    assert display.agency == ""  # the photo is the agency's, the text is not
    assert display.captions == ("الجسر الجديد عند افتتاحه (فرانس برس)",)
    assert [kind for kind, _ in kinds(article)] == [
        "title-repeat", "outlet", "date", "byline", "share", "caption", "share", "source",
        "contributors",
    ]  # fmt: skip
    assert article.published.utc == 1510358640000


@pytest.mark.parametrize(
    ("prefix", "kind", "fact"),
    [
        ("الرياض - واس: ", "dateline", {"dateline": "الرياض", "agency": "واس"}),
        ("بيروت (أ ف ب) - ", "dateline", {"dateline": "بيروت", "agency": "فرانس برس"}),
        ("(رويترز) - ", "agency", {"agency": "رويترز"}),
        ("سامر الأحمد- سبق- جدة: ", "dateline", {"dateline": "جدة", "byline": "سامر الأحمد"}),
    ],
)
def test_a_dateline_comes_off_the_first_paragraph(prefix: str, kind: str, fact: dict[str, str]):
    """Place, agency and author before the first sentence are told and taken off."""
    article = cleaned(prefix + FIRST, TITLE)
    assert article.display.body.text == FIRST
    assert kinds(article) == [(kind, prefix)]
    assert {name: getattr(article.display, name) for name in fact} == fact


@pytest.mark.parametrize(
    "start",
    [
        "وقال الوزير: ",
        "طهران: ",
        "رويترز: ",
        "دمشق - بيروت: ",
        "في بيروت - أ ف ب: ",
        "بيروت - ",
        "بيروت - الوزير: ",
        "غزة - عاجل: ",
        "القاهرة (الكبرى) - ",
        '"الجزيرة - خاص: ',
        "وفا - ",
        "وما - ",
    ],
)
def test_what_may_be_text_stays(start: str):
    """A colon or a dash alone makes no dateline."""
    article = cleaned(start + FIRST, TITLE)
    assert article.display.body.text == start + FIRST
    assert not article.display.furniture


@pytest.mark.parametrize(
    ("end", "agency", "left"),
    [
        (" (واس)", "واس", ""),
        (" (أ. ف. ب).", "فرانس برس", "."),
        ("\n(رويترز)", "رويترز", ""),
        ("\nد ب أ", "د ب أ", ""),
        (" (آب)", "", " (آب)"),
        (" (جدة)", "", " (جدة)"),
        (" وذلك وفق وكالة الأنباء السعودية (واس).", "", " وذلك وفق وكالة الأنباء السعودية (واس)."),
    ],
)
def test_an_agency_comes_off_the_end(end: str, agency: str, left: str):
    """The agency in brackets, or on a line of its own, is credit; أ ب is not the month آب."""
    article = cleaned(f"{FIRST}\n{SECOND}{end}", TITLE)
    assert article.display.agency == agency
    assert article.display.body.text == f"{FIRST}\n\n{SECOND}{left}"


def test_the_author_of_the_message_is_no_text():
    """The message's author at the text's start, alone or before a colon, is a byline."""
    for start in ("سبق - الدوائر: ", "سبق - الدوائر:\n"):
        article = cleaned(start + FIRST, TITLE, author="سبق - الدوائر:")
        assert article.display.body.text == FIRST


def test_a_standfirst_is_a_summary_without_full_stop():
    """A first paragraph that stands apart and ends without a full stop is the standfirst."""
    summary = FIRST.rstrip(".")
    third = SECOND.removeprefix("و")
    article = cleaned(f"{summary}\n\n{third}\n\n{SECOND}")
    assert article.display.title.text == ""
    assert article.display.standfirst.text == summary
    assert article.display.body.text == f"{third}\n\n{SECOND}"
    joined = cleaned(f"{summary}.\n\n{third}\n\n{SECOND}")
    assert joined.display.standfirst.text == ""
    assert cleaned(f"{summary}\n\n{SECOND}\n\n{third}").display.standfirst.text == ""  # and …
    assert normalize(article).match.content_hash == normalize(joined).match.content_hash


def test_a_given_title_is_the_title():
    """The message's title wins; its repetition in the body is furniture; verse is not."""
    article = cleaned(f"{TITLE}\n{FIRST}", f" {TITLE} ")
    assert article.display.title.field == "raw_title"
    assert article.display.title.text == TITLE
    assert kinds(article) == [("title-repeat", TITLE)]
    poem = cleaned("يا ليل الصب متى غده\nأقيام الساعة موعده", "يا ليل الصب متى غده")
    assert not poem.display.furniture


def test_a_sentence_is_no_headline():
    """A first line with a full stop, or as long as a paragraph, or with nothing after it, stays."""
    for body in (f"{FIRST}\n{SECOND}", TITLE, f"{TITLE}.\n{FIRST}", f"{TITLE}:\n{FIRST}"):
        assert cleaned(body).display.title.text == ""


def test_furniture_alone_is_text():
    """A message that says nothing else keeps what it says."""
    assert cleaned("طباعة").display.body.text == "طباعة"
    assert cleaned("طباعة", TITLE).display.body.text == ""


def test_the_messages_own_time_wins():
    """A date in the text fills an empty publication time and never replaces one."""
    body = f"{TITLE}\n01 نوفمبر 2017\n{FIRST}"
    own = Time(5, "x", "given", 1.0)
    assert clean(Article("x", raw_body=body, published=own)).published == own
    assert cleaned(body).published.text == "01 نوفمبر 2017"
    unread = Time(None, "2 نوفمبر 2017")
    read = clean(Article("x", raw_body=body, published=unread)).published
    assert read.utc == datetime(2017, 11, 2, tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        ("منذ ساعتين\n01 نوفمبر 2017", ""),
        ("01 نوفمبر 2017\nمنذ ساعتين", ""),
        ("منذ ساعتين", "01 نوفمبر 2017"),
        ("01 نوفمبر 2017", "02 نوفمبر 2017"),
        ("01 نوفمبر 2017\n02 نوفمبر 2017", "منذ ساعتين"),
    ],
)
def test_of_several_printed_dates_the_first_that_says_its_day(head: str, tail: str):
    """A day wins over what counts from the fetching, wherever they stand; else the first does."""
    body = f"{TITLE}\n{head}\n{FIRST}\n{SECOND}\n{tail}"
    fetched = Time(1_600_000_000_000, "", "given", 1.0)
    article = clean(Article("x", raw_body=body, fetched=fetched))
    assert article.published.text == "01 نوفمبر 2017"
    assert article.display.body.text == f"{FIRST}\n\n{SECOND}"


def test_furniture_without_end_is_text():
    """A page ends in some pieces of furniture, not in thousands: what repeats is left, and takes
    no time.
    """
    for piece in (" (واس)", "\nالمصدر: الميناء"):
        article = cleaned(FIRST + piece * 1000, TITLE)
        assert 0 < len(article.display.furniture) < 100
        check_trace(article)


def test_foreign_text_keeps_its_lines():
    """In another language the parts are cut, and only a repeated title goes."""
    text = "The minister said that the bridge is open to the people of the town."
    article = cleaned(f"A bridge\nA  bridge\nReuters\n{text}")
    assert article.display.language == "en"
    assert article.display.title.text == "A bridge"
    assert article.display.body.text == f"Reuters\n\n{text}"


# --- Pages as outlets and agencies print them: their marks, our text ------------------------------


def facts(article: Article) -> dict[str, str]:
    names = ("agency", "dateline", "byline", "outlet")
    return {name: value for name in names if (value := getattr(article.display, name))}


PAGES = {
    "Levant, agency": (
        "{title}\n\nدمشق-سانا\n\n{text}\n\nسامر الأحمد\n\n"
        "متابعة أخبار سانا على تلغرام: https://t.example/x",
        {"agency": "سانا", "dateline": "دمشق", "byline": "سامر الأحمد"},
    ),
    "Jordan, agency": (
        "{title}\nعمان 1 آذار (بترا)- {text}\n--(بترا)\nس أ/م ر\n01/03/2017 - 12:04 م",
        {"agency": "بترا", "dateline": "عمان"},
    ),
    "Palestine, agency": (
        "{title}\nرام الله 1-3-2017 وفا- {text}\nــ\nس.أ/ م.ر",
        {"agency": "وفا", "dateline": "رام الله"},
    ),
    "Kuwait, agency": (
        "{title}\nالكويت - 1 - 3 (كونا) -- {text} (النهاية) س أ / م ر",
        {"agency": "كونا", "dateline": "الكويت"},
    ),
    "Qatar, agency": (
        "{title}\nالدوحة في 01 مارس /قنا/ {text}",
        {"agency": "قنا", "dateline": "الدوحة"},
    ),
    "Emirates, agency": (
        "{title}\nأبوظبي في 1 مارس / وام / {text}\n-انتهى-\nوام/سامر الأحمد",
        {"agency": "وام", "dateline": "أبوظبي", "byline": "سامر الأحمد"},
    ),
    "Saudi Arabia, agency": (
        "{title}\nالرياض 01 جمادى الآخرة 1438 هـ الموافق 28 فبراير 2017 م واس\n{text}\n"
        "// انتهى //\n17:34 ت م\n0123",
        {"agency": "واس", "dateline": "الرياض"},
    ),
    "Morocco, agency": (
        "{title}\nالرباط 1 مارس 2017 (ومع) {text}",
        {"agency": "ومع", "dateline": "الرباط"},
    ),
    "Reuters": (
        "{title}\nمن سامر الأحمد\nدبي (رويترز) - {text}\n"
        "(إعداد سامر الأحمد للنشرة العربية - تحرير ليلى العلي)",
        {"agency": "رويترز", "dateline": "دبي", "byline": "سامر الأحمد"},
    ),
    "AFP": (
        "{title}\nبيروت (أ ف ب) - {text}\nسأ/مر/لي",
        {"agency": "فرانس برس", "dateline": "بيروت"},
    ),
    "Anadolu": (
        "{title}\nإسطنبول / سامر الأحمد / الأناضول\n{text}",
        {"agency": "الأناضول", "dateline": "إسطنبول", "byline": "سامر الأحمد"},
    ),
    "Sputnik": (
        "{title}\nموسكو، 1 آذار/مارس - سبوتنيك. {text}",
        {"agency": "سبوتنيك", "dateline": "موسكو"},
    ),
    "Xinhua": (
        "{title}\nبكين أول مارس 2017 (شينخوا) {text}",
        {"agency": "شينخوا", "dateline": "بكين"},
    ),
    "Egypt": (
        "{title}\nكتب ــ طارق النبوى:\nالأربعاء، 01 مارس 2017 12:04 م\n{text}\n"
        "اقرأ أيضا: خطة النقل للعام المقبل",
        {"byline": "طارق النبوى"},
    ),
    "Morocco": (
        "{title}\nهسبريس - سامر الأحمد\nالأربعاء 01 مارس 2017 - 12:04\n{text}",
        {"outlet": "هسبريس", "byline": "سامر الأحمد"},
    ),
    "Tunisia": (
        "{title}\nتونس ــ سامر الأحمد\nالجسر الجديد عند افتتاحه (عدسة: ليلى العلي)\n{text}",
        {"dateline": "تونس", "byline": "سامر الأحمد"},
    ),
    "Lebanon": (
        '{title}\nالمصدر: "النهار"\n1 آذار 2017\n{text}\n'
        "اقرأ أيضاً:\nخطة النقل للعام المقبل\nإقفال الطريق الساحلي",
        {"outlet": "النهار"},
    ),
    "Lebanon, several agencies": (
        "{title}\nسامر الأحمد\n+ الخط -\n{text}\n(الأخبار، أ ف ب، رويترز)",
        {"outlet": "الأخبار", "agency": "فرانس برس", "byline": "سامر الأحمد"},
    ),
    "Syria": (
        "{title}\nعنب بلدي – خاص\n{text}\nالوسوم: النقل، الجسور",
        {"outlet": "عنب بلدي"},
    ),
    "Iraq": (
        "{title}\nبغداد/ شفق نيوز/ {text}",
        {"outlet": "شفق نيوز", "dateline": "بغداد"},
    ),
    "Iraq, unknown outlet": (
        "{title}\nبغداد ـ الميناء نيوز\n{text}",
        {"outlet": "الميناء نيوز", "dateline": "بغداد"},
    ),
    "Qatar": (
        "{title}\n1/3/2017\n{text}\nالمصدر : الجزيرة + وكالات",
        {"outlet": "الجزيرة", "agency": "وكالات"},
    ),
    "London": (
        "{title}\nدمشق – «القدس العربي» – من سامر الأحمد: {text}",
        {"outlet": "القدس العربي", "dateline": "دمشق", "byline": "سامر الأحمد"},
    ),
    "Britain": (
        "{title}\nسامر الأحمد\nبي بي سي عربي - بيروت\nمصدر الصورة، Getty Images\n{text}",
        {"outlet": "بي بي سي عربي", "dateline": "بيروت", "byline": "سامر الأحمد"},
    ),
    "Emirates": (
        "الرئيسية > أخبار > محليات\n{title}\n{title} | سكاي نيوز عربية\nأبوظبي - سكاي نيوز عربية\n"
        "شارك على: فيسبوك تويتر\n1520 مشاهدة\n{text}\n#النقل\n#الجسر\nجميع الحقوق محفوظة © 2017",
        {"outlet": "سكاي نيوز عربية", "dateline": "أبوظبي"},
    ),
    "Saudi Arabia": (
        "Next Previous عين اليوم – الرياض (تصوير: سامر الأحمد)\n{text} سمات النقل الجسور",
        {"outlet": "عين اليوم", "dateline": "الرياض"},
    ),
    "Saudi Arabia, column": (
        "{title}\n{text}\n\nname@mail.example\nللتواصل مع الكاتب ارسل رسالة SMS\n"
        "تبدأ بالرمز (5) ثم مسافة ثم نص الرسالة إلى\n88591 - Stc\n737221 - Zain",
        {},
    ),
    "unknown agency": (
        "{title}\nالمكلا (نخلة) - {text}\n(نخلة)",
        {"agency": "نخلة", "dateline": "المكلا"},
    ),
    "unknown agency, source": (
        "{title}\nالمكلا ــ نخلة\n{text}\nالمصدر: نخلة + بوصلة الموانئ",
        {"agency": "نخلة", "dateline": "المكلا", "outlet": "بوصلة الموانئ"},
    ),
    "closing lines": (
        "{title}\nكسلا - سونا: {text}\nالمساهمون:\nسامر الأحمد\nليلى العلي\n"
        "دفاتر النهار - وكالات\n01 مارس 2025",
        {"agency": "سونا", "dateline": "كسلا"},
    ),
}


@pytest.mark.parametrize(("page", "told"), PAGES.values(), ids=PAGES)
def test_pages_of_many_houses(page: str, told: dict[str, str]):
    """Whatever stands around the text is furniture, with or without a title given; what it tells
    is kept.
    """
    text = f"{FIRST}\n{SECOND}"
    for title in (TITLE, ""):
        body = page.format(title=TITLE, text=text)
        if not title and TITLE not in body:
            continue
        article = cleaned(body, title)
        check_trace(article)
        assert article.display.title.text == TITLE
        assert article.display.body.text == f"{FIRST}\n\n{SECOND}"
        for name, value in told.items():
            assert getattr(article.display, name) == value
        if title:
            assert facts(article) == told


def test_an_author_without_end_names_nobody():
    """A field of the size of an article is not read: in HTML it may hold what takes minutes."""
    for spaces, told in ((20, {"agency": "واس", "dateline": "الرياض"}), (2000, {})):
        assert facts(cleaned(FIRST, TITLE, author="الرياض - واس" + " " * spaces)) == told


def test_of_several_sources_the_one_that_delivered_it():
    """Of the outlets that a source line names it is the message's source, else the first."""
    body = f"{FIRST}\n{SECOND}\nالمصدر: دفاتر النهار + بوصلة الموانئ"
    assert cleaned(body, TITLE).display.outlet == "دفاتر النهار"
    assert cleaned(body, TITLE, source="بوصلة الموانئ").display.outlet == "بوصلة الموانئ"


def test_the_date_of_a_document_is_no_publication():
    """Under another line of its head a date is the document's, and stays in it."""
    article = cleaned(f"الرقم: أ/1\n1 مارس 2017\n{FIRST}\n{SECOND}", TITLE)
    assert not article.display.furniture
    assert article.published.utc is None


def test_what_the_text_says_wins_over_the_author():
    """The author field fills what the text leaves open, each fact by itself."""
    article = cleaned(f"بيروت (أ ف ب) - {FIRST}\n{SECOND}", TITLE, author="لندن: سامر الأحمد")
    told = {"agency": "فرانس برس", "dateline": "بيروت", "byline": "سامر الأحمد"}
    assert facts(article) == told
    bare = cleaned(f"{FIRST}\n{SECOND}", TITLE, author="المدينة - جدة", source="صحيفة المدينة")
    assert facts(bare) == {"dateline": "جدة", "outlet": "المدينة"}
    assert not bare.display.furniture


@pytest.mark.parametrize("pile", ["&#1614;&#1611;" * 300, "\u064e<b>\u064b</b>" * 300])
def test_html_hides_no_pile_of_marks(pile: str):
    """Hundreds of marks on one letter are refused, too, where references or tags part them."""
    for title, body in ((f"ب{pile}", FIRST), (TITLE, f"{FIRST}ب{pile}")):
        with pytest.raises(StageError) as error:
            cleaned(body, title)
        assert error.value.reason == "marks"


def test_what_markup_calls_a_caption_is_one():
    """A figcaption is a caption anywhere and in any language; one as long as a paragraph, or left
    open, is text.
    """
    caption = "الجسر الجديد <i>عند افتتاحه</i> &ndash; رويترز"
    figure = f"<figure><img src=x.jpg><figcaption>\n {caption}</figcaption></figure>"
    article = cleaned(f"<p>{FIRST}</p>{figure}<p>{SECOND}</p>", TITLE)
    assert article.display.captions == ("الجسر الجديد عند افتتاحه – رويترز",)
    assert [kind for kind, _ in kinds(article) if kind != "markup"] == ["caption"]
    assert article.display.body.text == f"{FIRST}\n\n{SECOND}"
    assert article.display.agency == ""
    check_trace(article)
    english = cleaned("<p>The bridge is open.</p><figcaption>The new bridge</figcaption>")
    assert english.display.captions == ("The new bridge",)
    for start, end in (("<figcaption>", ""), ("", "</figcaption>")):
        assert not cleaned(f"{FIRST}{start}{TITLE}{end}<p>{SECOND}", TITLE).display.captions
    assert not cleaned(f"<figcaption>{FIRST * 4}</figcaption><p>{SECOND}", TITLE).display.captions


def test_a_photos_credit_is_not_the_texts():
    """An agency behind a caption, or one that prose quotes, did not send the text."""
    for start, end in (
        ("الجسر الجديد عند افتتاحه (رويترز)\n", ""),
        ("", "\nوهذا ما نقلته وكالة رويترز عن مصادرها."),
        ("", "\n(تصوير: رويترز)"),
    ):
        assert cleaned(f"{start}{FIRST}\n{SECOND}{end}", TITLE).display.agency == ""


@pytest.mark.parametrize(
    "start",
    [
        "أيمن حسن- سبق: يتساءل الكاتب سامر الأحمد: ",
        "- الجسر سيكون جاهزاً هذا العام\n",
        "سؤال القارئ: هل يفتتح الجسر هذا العام؟\nأم خالد - الرياض\n",
        "صدر عن الوزارة البيان التالي:\nالتاريخ: 1 / 3 / 2017\nبعون الله تعالى\n",
        "(دراسة على عينة من طلبة الجامعات) إعداد: ",
        "كنت أقرأ صحيفة الميناء البحرية: ",
        "مشهد من الجسر\n",
    ],
)
def test_what_reads_like_a_credit_stays(start: str):
    """Letters, statements, highlights and sentences keep their words."""
    author = "- الجسر سيكون جاهزاً هذا العام"
    kept = start.removeprefix("أيمن حسن- سبق: ").strip()
    body = cleaned(start + FIRST, TITLE, author=author).display.body.text
    assert body == f"{kept}\n{FIRST}".replace("\n", "\n\n") or body == f"{kept} {FIRST}"


def test_a_name_alone_is_the_author_or_in_the_picture():
    """A name above the text is in the picture if the text names it again, else the author's; one
    below is a signature, unless it comes up before.
    """
    name = "سامر الأحمد"
    author = cleaned(f"{name}\n{FIRST}\n{SECOND}", TITLE)
    assert (author.display.byline, author.display.captions) == (name, ())
    picture = cleaned(f"{name}\n{FIRST}\nوحضر الأحمد الافتتاح مع عدد من زملائه.", TITLE)
    assert (picture.display.byline, picture.display.captions) == ("", (name,))
    titled = cleaned(f"{name}\n{FIRST}\nوحضر الأحمد الافتتاح مع عدد من زملائه.", f"{name}: رأيه")
    assert (titled.display.byline, titled.display.captions) == (name, ())
    signed = cleaned(f"{FIRST}\n{SECOND}\n- {name}", TITLE)
    assert signed.display.byline == name
    assert kinds(signed) == [("byline", f"- {name}")]
    guest = "وحضر الأحمد حفل الافتتاح مع عدد كبير من زملائه."
    named = cleaned(f"{FIRST}\n{guest}\n{name}", TITLE)
    assert not named.display.furniture


def test_a_label_that_text_follows_is_no_contributors():
    """المساهمون are shareholders, too: it is a label under the text, with persons or nothing."""
    firms = "\nصندوق الميناء للتقاعد\nشركة النهر للنقل"
    for rest in (f"\n{SECOND}", f"\nسامر الأحمد\n{SECOND}", firms):
        article = cleaned(f"{FIRST}\nالمساهمون:{rest}", TITLE)
        assert not article.display.furniture
    article = cleaned(f"{FIRST}\nالمساهمون:\nسامر الأحمد\nليلى العلي", TITLE)
    assert article.display.body.text == FIRST


def test_an_unknown_sender_needs_a_witness():
    """An agency that no table knows is believed when the message or the page's end names it."""
    start = "المكلا - نخلة: "
    for end, source in (("", "وكالة نخلة للأنباء"), ("\nالمصدر: نخلة", ""), (" (نخلة)", "")):
        article = cleaned(f"{start}{FIRST}\n{SECOND}{end}", TITLE, source=source)
        assert article.display.agency == "نخلة"
        assert article.display.body.text.startswith(FIRST)
    assert not cleaned(f"{start}{FIRST}\n{SECOND}", TITLE).display.furniture


def test_a_list_that_text_follows_has_one_headline():
    """Within a text a label takes the headline under it, and a subheading behind that stays."""
    body = f"{FIRST}\nاقرأ أيضاً:\nخطة النقل للعام المقبل\nطريق ثانٍ\n{SECOND}"
    article = cleaned(body, TITLE)
    assert kinds(article) == [("related", "اقرأ أيضاً:"), ("related", "خطة النقل للعام المقبل")]
    assert article.display.body.text == f"{FIRST}\n\nطريق ثانٍ\n\n{SECOND}"


def test_a_title_is_repeated_above_the_text_only():
    """Behind the first paragraph a line like the title is text: a verse, a subheading."""
    article = cleaned(f"{FIRST}\n{TITLE}\n{SECOND}", TITLE)
    assert not article.display.furniture


# --- Properties of whole pages ------------------------------------------------------------------


any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\n\r :-–()ـ.ًﻻاليو٠1\u200f\u00a0"),
    ),
    max_size=80,
)
NOISE = ["", "", "", "ـ", "َ", "ِّ", "\u200f", "\u200b", "\ufeff"]
GAPS = [" ", " ", "  ", "\u00a0", "\t", "\r\n", "\n", "\r\n\u00a0\r\n", "\u2028"]
LINES = [
    TITLE,
    FIRST,
    SECOND,
    "الرياض - واس: " + FIRST,
    "(رويترز)",
    "سامر الأحمد",
    "٠١ نوفمبر ٢٠١٧",
]
LINES += [rule.example for rule in RULES] + ["الجسر الجديد عند افتتاحه (فرانس برس)", "\u00a0"]

TAGS = ["<b>", "</b>", "<!-- <p> -->", "<a href='?a>b&amp;c'>", "</a>", "<script>'<p>'</script>"]
BLOCKS = [
    ("<p>", "</p>\n"),
    ("<figcaption>", "</figcaption>"),
    ("<div class=x>", "</div>"),
    ("", "<br/>"),
    ("<td>", ""),
    ("", "\n"),
]


def raw_spans(passage: Passage) -> list[tuple[int, int, str]]:
    """The raw span and the text of each word of a passage."""
    spans, at = [], 0
    for word in passage.text.split():
        at = passage.text.index(word, at)
        spans.append((*passage.offsets.span(at, at + len(word)), word))
        at += len(word)
    return spans


def check_trace(article: Article) -> None:
    """Every word leads back to a raw span that displays as it, and every visible raw character is
    in exactly one part or in a piece of furniture; markup may stand within a part.
    """
    seen = {"raw_title": [0] * len(article.raw_title), "raw_body": [0] * len(article.raw_body)}
    for passage in (article.display.title, article.display.standfirst, article.display.body):
        raw = getattr(article, passage.field)
        assert len(passage.offsets) == len(passage.text)
        for start, end, word in raw_spans(passage):
            assert display_text(visible_text(raw[start:end]).text)[0] == word
            for at in range(start, end):
                seen[passage.field][at] += 1
    for item in sorted(article.display.furniture, key=lambda item: item.kind != "markup"):
        assert item.start < item.end
        for at in range(item.start, item.end):
            seen[item.field][at] = 1 + (seen[item.field][at] if item.kind != "markup" else 0)
    for name, counts in seen.items():
        text, offsets, markup, _ = visible_text(getattr(article, name))
        assert all(set(counts[start:end]) == {1} for start, end in markup)
        for at, character in enumerate(text):
            start, end = offsets.span(at, at + 1) if offsets is not None else (at, at + 1)
            if set(counts[start:end]) != {1} and display_text(character)[0]:
                assert unicodedata.category(character)[0] == "M"


@settings(max_examples=150, deadline=None)
@given(any_text, any_text, any_text)
def test_any_text_is_taken(title: str, body: str, author: str):
    """No text makes clean or normalize raise, and each gets a hash of 128 bits."""
    assert (
        len(bytes.fromhex(normalize(cleaned(body, title, author=author)).match.content_hash)) == 16
    )


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([FIRST, f"{TITLE} {SECOND}"]), st.sampled_from(["", TITLE]), st.integers())
def test_noise_leads_back(text: str, title: str, seed: int):
    """With harakat, tatweel, odd spaces, line ends and presentation forms put in, every word of
    the display layer leads back to the raw text that displays as it.
    """
    choose = Random(seed).choice
    forms = {"ا": "ﺍ", "ل": "ﻟ", "م": "ﻣ"}
    noisy = (
        choose(GAPS)
        if character == " "
        else choose([character, forms.get(character, character)]) + choose(NOISE)
        for character in text
    )
    check_trace(cleaned("".join(noisy), title))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=9), st.sampled_from(["", TITLE]))
def test_nothing_vanishes_without_a_trace(lines: list[str], title: str):
    """In pages put together from text and furniture, all that is visible is in one part or listed
    as furniture; paragraphs are parted by exactly one empty line.
    """
    article = cleaned("\n".join(lines), title)
    check_trace(article)
    body = article.display.body.text
    assert "\n\n\n" not in body
    assert all(body.split("\n\n")) or not body
    assert "\n" not in body.replace("\n\n", "")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=9), st.sampled_from(["", TITLE]), st.integers())
def test_nothing_vanishes_from_html(lines: list[str], title: str, seed: int):
    """The same holds for pages in HTML with tags, comments, scripts and references anywhere."""
    choose = Random(seed).choice

    def marked(text: str) -> str:
        return "".join(
            choose([*[letter] * 9, f"&#{ord(letter)};"]) + choose(["", "", "", "", *TAGS])
            for letter in text
        )

    blocks = ((choose(BLOCKS), marked(line)) for line in lines)
    body = "".join(before + line + after for (before, after), line in blocks)
    check_trace(cleaned(body, marked(title)))


def test_furniture_does_not_change_the_hash():
    """Copies that differ in furniture, spelling and white space alone have one content hash."""
    page = cleaned(
        f"{TITLE}\n\n{TITLE}\n01 نوفمبر 2017\nطباعة\nالرياض - واس: {FIRST}\n{SECOND} (واس)"
    )
    bare = cleaned(f"{FIRST.replace('أ', 'ا')}\r\n\r\n{SECOND}", TITLE.replace("ة", "ه"))
    assert normalize(page).match.content_hash == normalize(bare).match.content_hash


# --- The five seed articles, read in place ------------------------------------------------------


@pytest.mark.skipif(not SEEDS.is_dir(), reason=f"no seed articles in {SEEDS}")
@pytest.mark.parametrize(
    ("number", "furniture", "titled", "paragraphs"),
    [
        ("000", [], True, 7),
        ("001", ["title-repeat", "outlet"], True, 9),
        ("002", ["date", "byline", "share"], True, 16),
        ("003", ["source"], False, 8),
        ("004", ["title-repeat", "date", "caption", "share", "contributors"], True, 11),
    ],
)
def test_seeds(number: str, furniture: list[str], titled: bool, paragraphs: int):
    """The parts of the five real articles are what a careful reader would say."""
    path = next(SEEDS.glob(f"{number}_*.txt"))
    article = cleaned(path.read_bytes().decode())
    display = article.display
    check_trace(article)
    assert [item.kind for item in display.furniture] == furniture
    assert bool(display.title.text) == titled
    assert bool(display.standfirst.text) != titled
    assert len(display.body.text.split("\n\n")) == paragraphs
    assert (article.published.utc is not None) == ("date" in furniture)
    assert bool(display.outlet) == (number in ("001", "003"))
    assert bool(display.byline) == (number in ("001", "002"))
    assert len(display.captions) == furniture.count("caption")
    assert display.language == "ar"
    assert replace(clean(article), display=display) == article
