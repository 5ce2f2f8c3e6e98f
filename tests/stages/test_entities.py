"""Which names an article's entities are, and that every mention is where it says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Decision, Display, Entity, Passage
from pipelines.stages.clean import clean
from pipelines.stages.entities import _Layer, _parted, entities
from pipelines.stages.gazetteer import DATA, TABLES, Gazetteer, read_aliases
from pipelines.stages.normalize import normalize
from pipelines.stages.recognizer import Recognizer, Span

GAZETTEER = Gazetteer.load()


def article(body: str, title: str = "", language: str = "ar") -> Article:
    """An article whose display layer is the raw text itself."""
    display = Display(
        title=Passage(title, "raw_title", OffsetMap.identity(len(title))),
        body=Passage(body, "raw_body", OffsetMap.identity(len(body))),
        language=language,
    )
    return normalize(
        Article("a", raw_title=title, raw_body=body, display=display, language=language)
    )


def found(body: str, title: str = "") -> tuple[Entity, ...]:
    read = entities(article(body, title), GAZETTEER)
    for entity in read.entities:
        for mention in entity.mentions:
            raw = title if mention.field == "raw_title" else body
            assert raw[mention.start : mention.end] == mention.text
    return read.entities


def names(body: str) -> dict[str, list[str]]:
    """Entity ids with the texts of their mentions."""
    return {entity.entity_id: [m.text for m in entity.mentions] for entity in found(body)}


# --- One entity under all its names ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity_id", "spellings"),
    [
        ("loc:sy/abu-kamal", "البوكمال | البو كمال | أبو كمال | ابو كمال | أبوكمال | البُوكمال"),
        ("loc:sy/deir-ez-zor", "دير الزور | ديرالزور | دير الزّور"),
        ("org:isis", "داعش | الدولة الإسلامية في العراق والشام | داعـش"),
        ("org:sdf", "قسد | قوات سوريا الديمقراطية | قوات سورية الديموقراطية"),
        ("org:ypg", "وحدات حماية الشعب | وحدات حماية الشعب الكردية"),
        ("org:nato", "الناتو | حلف شمال الأطلسي"),
        ("org:afp", "فرانس برس | أ ف ب | أ.ف.ب | أ. ف. ب"),
        ("loc:us", "الولايات المتحدة | الولايات المتحدة الأميركية | أمريكا | أميركا"),
        ("loc:ae/abu-dhabi", "أبوظبي | أبو ظبي"),
        ("per:abdrabbuh-hadi", "عبدربه منصور هادي | عبد ربه منصور هادي"),
        ("per:salman-bin-abdulaziz", "سلمان بن عبدالعزيز | سلمان بن عبد العزيز"),
    ],
)
def test_spellings_meet(entity_id, spellings):
    """Each of these spellings alone is the same entity, and the mention is all of it."""
    for spelling in spellings.split(" | "):
        assert names(f"أعلن عن {spelling} اليوم") == {entity_id: [spelling]}


def test_state_group_by_its_short_names():
    """تنظيم stays outside: الدولة behind it is the group, and الدولة by itself is any state."""
    assert names("عناصر تنظيم الدولة وتنظيم «الدولة الإسلامية»") == {
        "org:isis": ["الدولة", "الدولة الإسلامية"]
    }
    assert names("مؤسسات الدولة والمواطنين") == {}


def test_short_form_given_by_the_article():
    """A short form in brackets behind a long one is a name of it in this article alone."""
    body = 'قال "الحزب الديمقراطي الكردستاني" (حدك) إن حدك مستعد، ونفى مصدر لحدك ذلك'
    assert names(body) == {"org:kdp": ["الحزب الديمقراطي الكردستاني", "حدك", "حدك", "حدك"]}
    assert names("نفى مصدر لحدك ذلك") == {}


def test_brackets_that_hold_no_short_form():
    """What else stands in brackets behind a name is no alias, nor part of a longer name."""
    assert names("حزب الله (اللبناني) والفصيل اللبناني") == {"org:hezbollah": ["حزب الله"]}


# --- Where a mention begins and ends --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("وداعش", "داعش"),
        ("بداعش", "داعش"),
        ("لِداعش", "داعش"),
        ("لـداعش", "داعش"),
        ('لـ"داعش"', "داعش"),
        ("و«داعش»", "داعش"),
        ("(داعش)", "داعش"),
        ("داعشٌ", "داعشٌ"),
        ("بالعراق", "العراق"),
        ("والعراق", "العراق"),
        ("للعراق", "لعراق"),
        ("وللعراق", "لعراق"),
        ('لـ"العراق"', "العراق"),
        ("للاذقية", "لاذقية"),
        ('لـ"اللاذقية"', "اللاذقية"),
        ("وتل أبيض", "تل أبيض"),
        ("مدينة البوكمال", "البوكمال"),
        ("محافظة دير الزور", "دير الزور"),
        ("بمعبر البوكمال الحدودي", "معبر البوكمال"),
        ("مطار عدن الدولي", "مطار عدن الدولي"),
        ("وادي الفرات", "وادي الفرات"),
        ("جامعة القاهرة", "جامعة القاهرة"),
        ("قوات سوريا الديمقراطية", "قوات سوريا الديمقراطية"),
    ],
)
def test_span(text, mention):
    """Proclitics, quotes, brackets and heads of settlements are outside a mention, the article and
    heads of facilities inside; the longest name wins.
    """
    assert list(names(f"{text} - قال شاهد").values()) == [[mention]]


def test_facility_of_a_place():
    """A facility is an entity of its own, made of its head and the place."""
    crossing, town = found("معبر القائم قرب مدينة القائم العراقية")
    assert (crossing.entity_id, crossing.name) == ("loc:iq/al-qaim#crossing", "معبر القائم")
    assert (crossing.country, crossing.latitude) == ("IQ", None)
    assert (town.entity_id, town.country) == ("loc:iq/al-qaim", "IQ")
    assert found("جامعة دمشق")[0].type == "ORG"


# --- What is no name ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "الوضع القائم في البلاد",
        "القائم بأعمال السفارة",
        "نشر الصور على الموقع",
        "سلمه درعا تذكارية",
        "ورث البيت عن جده",
        "قدم حجة للمحكمة",
        "لم يترك حجرا في الباب",
        "الحكومة السعودية والقوات السورية",
        "القوات العراقية والسعودية",
        "مصادر سورية مطلعة",
        "كان لاجئا سوريا",
        "الميليشيات المدعومة روسيًا",
        "يعمل دوما في صمت",
        "الخبر السار",
        "آية الروح القدس",
        "مبلغا كبيرا",
        "الدعم المالي للمشروع",
        "بنين وبنات",
        "خرجوا بعد صلاة المغرب",
        "تنظيم الفعاليات، الدولة",
        "الأمير فيصل بن سلمان بن عبدالعزيز",
    ],
)
def test_common_words(text):
    """Words of every day that are also somebody's name are not taken for it."""
    assert names(text) == {}


def test_ambiguous_name_with_its_country():
    """A sign of place and another name of its country bear a doubtful name out."""
    assert "loc:iq/al-qaim" in names("دخلت القوات إلى القائم بعد الأنبار")
    assert "loc:iq/al-qaim" not in names("دخلت القوات إلى القائم بعد يومين")


def test_name_of_two_places():
    """The article's country decides between places of one name; otherwise there is no guess."""
    assert found("طرابلس في ليبيا")[0].entity_id == "loc:ly/tripoli"
    assert found("طرابلس في لبنان")[0].entity_id == "loc:lb/tripoli"
    unknown = found("اشتباكات في طرابلس")[0]
    assert unknown.entity_id == "loc:name/طرابلس"
    assert (unknown.country, unknown.latitude, unknown.longitude) == (None, None, None)


def test_quoted_name_of_a_newspaper():
    """Quotation marks tell the newspaper from the region."""
    assert set(names("قال لـ«الشرق الأوسط» إن الشرق الأوسط يتغير")) == {
        "org:asharq-al-awsat",
        "loc:region/middle-east",
    }


def test_surname_needs_the_full_name():
    """A surname is a person once the article has given the full name."""
    assert names("قال الرئيس أوباما") == {}
    assert names("قال باراك أوباما ثم عاد أوباما") == {
        "per:barack-obama": ["باراك أوباما", "أوباما"]
    }


# --- The record -----------------------------------------------------------------------------------


def test_reading_order_title_first():
    """Entities and mentions come in reading order, the title's before the body's."""
    read = found("في بغداد. وصل إلى دمشق من بغداد", title="دمشق")
    assert [e.entity_id for e in read] == ["loc:sy/damascus", "loc:iq/baghdad"]
    assert [m.field for m in read[0].mentions] == ["raw_title", "raw_body"]
    assert read[0].aliases == ("دمشق",)
    assert read[0].salience > read[1].salience


def test_title_found_in_the_body():
    """A title that stood in the body points into the body."""
    raw = "دمشق\n\nوصل إلى بغداد"
    display = Display(
        title=Passage("دمشق", "raw_body", OffsetMap.identity(4)),
        body=Passage("وصل إلى بغداد", "raw_body", OffsetMap.identity(13).shift(6)),
        language="ar",
    )
    read = entities(normalize(Article("a", raw_body=raw, display=display)), GAZETTEER).entities
    spans = [(e.mentions[0].field, e.mentions[0].start, e.mentions[0].end) for e in read]
    assert spans == [("raw_body", 0, 4), ("raw_body", 14, 19)]


def test_page_as_it_arrives():
    """Through the real layers: a page with its headline twice, odd spaces, marks and harakat."""
    raw = (
        "قسد تتقدم نحو البوكمال\r\n\r\nقسد تتقدم  نحو البوكمال\r\n\u00a0\r\n"
        'اتجهت "قوات\u00a0سورية الديمقراطية" (قسد) من مدينة دير\u200f الزّور إلى البُوكمال، '
        "وفق بيان صدر أمس عن المتحدث باسمها، ثم عادت قوة منها للحسكة بعد يومين من المعارك.\r\n"
    )
    read = entities(normalize(clean(Article("a", raw_body=raw))), GAZETTEER).entities
    spans = [(m.start, m.end) for e in read for m in e.mentions]
    assert all(raw[m.start : m.end] == m.text for e in read for m in e.mentions)
    assert len(spans) == len(set(spans))
    assert {e.entity_id: len(e.mentions) for e in read} == {
        "org:sdf": 3,
        "loc:sy/abu-kamal": 2,
        "loc:sy/deir-ez-zor": 1,
        "loc:sy/hasakah": 1,
    }


def test_salience_grows_with_mentions():
    """Title, first paragraph and number of mentions raise salience, which stays below 1."""
    (once,), (often,) = found("مقدمة\nدمشق"), found("مقدمة\n" + "دمشق " * 50)
    (both,) = found("دمشق " * 50, title="دمشق")
    assert 0 < once.salience < often.salience < both.salience < 1


def test_duplicate_and_foreign_articles():
    """A duplicate and a foreign article pass unchanged."""
    duplicate = replace(article("دمشق"), decision=Decision("duplicate"))
    foreign = article("دمشق", language="fa")
    assert entities(duplicate, GAZETTEER) is duplicate
    assert entities(foreign, GAZETTEER) is foreign


# --- Any text -------------------------------------------------------------------------------------

NAMES = ("البوكمال", "دير الزور", "قوات سوريا الديمقراطية", "داعش", "الأمم المتحدة", "عدن")
FILLERS = ("قال مصدر", "أمس،", "بعد اجتماع", ".", "إن", "\n\n", "«", ")", "T2", "١٢")
MARKS = st.text("\u064e\u064f\u0650\u0651\u0652\u0640", max_size=2)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """A name, and how somebody might write it: harakat and tatweel behind letters."""
    name = draw(st.sampled_from(NAMES))
    letters = [letter if letter == " " else letter + draw(MARKS) for letter in name]
    return name, "".join(letters).rstrip("\u0640")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FILLERS), written()), min_size=1, max_size=6))
def test_names_survive_harakat_and_tatweel(pieces):
    """Every name is found with its marks, at its exact place, and no two mentions overlap."""
    body = ""
    expected = []
    for filler, (_, text) in pieces:
        body += f"{filler} "
        expected.append((len(body), len(body) + len(text)))
        body += f"{text} "
    spans = sorted((m.start, m.end) for e in found(body) for m in e.mentions)
    assert spans == expected


@settings(max_examples=150, deadline=None)
@given(st.text('ابتدسعقكلمنوهية قفءآإـ"«»()\n.،َّ', max_size=60), st.sampled_from(NAMES))
def test_any_text(noise, name):
    """Whatever stands around a name, mentions are exact and do not overlap."""
    spans = sorted((m.start, m.end) for e in found(f"{noise}{name} {noise}") for m in e.mentions)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


# --- The tables -----------------------------------------------------------------------------------


def test_tables_are_sound():
    """Ids, types, countries and coordinates of the tables are what they promise."""
    aliases = read_aliases(DATA / name for name in TABLES)
    for record in {r for alias in aliases for r in (*alias.records, *alias.quoted)}:
        scope = record.entity_id.partition(":")[0]
        assert {"loc": "LOC", "org": "ORG", "per": "PER"}[scope] == record.type
        assert record.country is None or (len(record.country) == 2 and record.country.isupper())
        assert (record.latitude is None) == (record.longitude is None)
        assert record.latitude is None or abs(record.latitude) <= 90
        assert record.longitude is None or abs(record.longitude) <= 180
    assert all(len(alias.words) > 1 or len(alias.words[0]) > 2 for alias in aliases)


HEADER = "id\ttype\tname\taliases\tcountry\tlatitude\tlongitude"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("", "broken.tsv has no column 'id'"),
        ("id\ttype\tname\tcountry\nloc:x\tLOC\tقرية\tSY", "broken.tsv has no column 'aliases'"),
        (f"{HEADER}\nloc:x\tTOWN\tقرية", "broken.tsv: loc:x has the type 'TOWN'"),
        (f"{HEADER}\nloc:x\tLOC\tقرية\t\tSY\t36,1\t37", "broken.tsv: loc:x .*'36,1'"),
        (f"{HEADER}\nloc:x\tLOC\tقرية\t\tSY\t36\t37\t38", "broken.tsv: loc:x has more fields"),
        (f"{HEADER}\nloc:x\tLOC\tقرية\tقرية | ،", "'،' of loc:x leaves nothing"),
    ],
)
def test_broken_table(tmp_path, lines, error):
    """A table that is not as its header says is refused by name, with the row and what is wrong."""
    path = tmp_path / "broken.tsv"
    path.write_text(f"# a comment\n{lines}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=error):
        read_aliases([path])


# --- Names that a backend finds -------------------------------------------------------------------

RECOGNIZER = Recognizer()


def recognized(body: str, title: str = "") -> dict[str, list[str]]:
    """Entity ids with the texts of their mentions, by gazetteer and recognizer."""
    read = entities(article(body, title), GAZETTEER, RECOGNIZER)
    spans = []
    for entity in read.entities:
        for mention in entity.mentions:
            raw = title if mention.field == "raw_title" else body
            assert raw[mention.start : mention.end] == mention.text
            spans.append((mention.field, mention.start, mention.end))
    spans.sort()
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(spans))
    return {entity.entity_id: [m.text for m in entity.mentions] for entity in read.entities}


def test_person_and_short_name():
    """A person in no table is found by the full name, and the short name later is the same one."""
    body = "وقال وزير الخارجية رياض الحديدي إن بلاده مستعدة. وأضاف الحديدي أن المحادثات مستمرة."
    assert recognized(body) == {"per:name/رياض-الحديدي": ["رياض الحديدي", "الحديدي"]}


def test_proclitics_of_unlisted_names():
    """A proclitic is outside the mention, and the id is that of the name without it."""
    body = "التقى الرئيس وفدا برئاسة سالم باعويضان ووعد لسالم باعويضان بالدعم"
    assert set(recognized(body)) <= {"per:name/سالم-باعويضان"}


def test_quoted_group():
    """A group named in quotation marks behind what it is, is one, the marks outside."""
    assert recognized("أعلنت حركة «شباب النور» انسحابها")["org:name/شباب-النور"] == ["شباب النور"]


def test_doubtful_name_borne_out():
    """The recognizer bears out a place whose name is a common word, and it is the table's place."""
    assert "loc:jo/aqaba" in recognized("وصلت السفينة إلى ميناء العقبة في الأردن ثم غادرت العقبة")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("وقال محمد القحطاني وصالح الشهري إن اللقاء تأجل", ["محمد القحطاني", "صالح الشهري"]),
        ("زار الوفد ولاية كاليفورنيا أمس", ["كاليفورنيا"]),
        ("سافر الوزير إلى جزيرة بالي في إندونيسيا", ["إندونيسيا"]),
        ("أعلن معالي الدكتور أحمد العيسى النتيجة", ["أحمد العيسى"]),
        ("قال صالح بن محمد آل إن", ["صالح بن محمد"]),
        ("فتح كورنيش الإسكندرية أمام الزوار", ["كورنيش الإسكندرية"]),
    ],
)
def test_where_a_recognized_name_begins_and_ends(body, names):
    """A name is without "and", "in" and "to", unless they are its own letters; without titles; and
    without what its end lacks the rest of.
    """
    found = [text for mentions in recognized(body).values() for text in mentions]
    assert found == names


def test_two_persons_are_parted_at_their_and():
    """What the recognizer takes for one name is two, where a listed name stands behind an "and"."""
    layer = _Layer(Passage(), "خالد الغامدي وياسر الشهراني ووسام الحسن", OffsetMap.empty())
    parted = _parted(layer, [Span(0, 4, "PER"), Span(4, 6, "PER")], RECOGNIZER)
    assert list(parted) == [Span(0, 2, "PER"), Span(2, 4, "PER"), Span(4, 6, "PER")]
    assert list(_parted(layer, [Span(0, 4, "ORG")], RECOGNIZER)) == [Span(0, 4, "ORG")]


@pytest.mark.parametrize(
    "body",
    ["بتوفيق الله عاد الحجاج", "قال لي في مكتبه", "بيان من منظمة", "إن أبا تجرد من مشاعر الرحمة"],
)
def test_common_words_are_no_names(body):
    """Words that the recognizer takes for names, and what a group is without its name, are none."""
    assert recognized(body) == {}


def test_units_and_adverbs_are_no_names():
    """Units of money and words in the accusative are no entities, whatever the recognizer says."""
    assert recognized("بلغ السعر خمسين دولارا للبرميل والحمد لله") == {}


@settings(max_examples=60, deadline=None)
@given(st.text('ابتدسعقكلمنوهية قفءآإـ"«»()\n.،َّ', max_size=80))
def test_any_text_with_recognizer(noise):
    """Whatever the text, mentions are exact and none overlaps another."""
    found = recognized(f"{noise} قال كوفي أنان في نيويورك {noise}")
    assert all(found.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(MARKS, min_size=12, max_size=12))
def test_recognized_names_survive_harakat(marks):
    """Harakat and tatweel added to a text move no entity."""
    words = [
        "وقال",
        "وزير",
        "الخارجية",
        "رياض",
        "الحديدي",
        "إن",
        "بلاده",
        "ترفض",
        "الاتفاق",
        "مع",
        "فرنسا",
    ]
    written = [
        "".join(letter + mark for letter, mark in zip(word, [*marks, *marks], strict=False))
        + word[24:]
        for word in words
    ]
    spaced = [word.rstrip("\u0640").lstrip("\u0640") for word in written]
    assert set(recognized(" ".join(spaced))) == set(recognized(" ".join(words)))


def test_odd_texts_with_recognizer():
    """A text of one word, without Arabic, and none at all, have no names."""
    for body in ("كلمة", "hello 12", ""):
        assert recognized(body) == {}


@pytest.mark.slow
def test_long_text_with_recognizer():
    """200,000 words are one article like any other."""
    body = "قال كوفي أنان في نيويورك إن الاتفاق قريب. " * 22_300
    assert len(recognized(body)["loc:us/new-york"]) == 22_300
