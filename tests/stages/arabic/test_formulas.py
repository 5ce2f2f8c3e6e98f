"""Honorifics and scripture: recognised in every spelling, and out of the way of comparing and of
names.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Display, Passage
from pipelines.stages.arabic.formulas import FORMULAS, formula_spans
from pipelines.stages.arabic.layers import display_text, match_text
from pipelines.stages.entities import entities
from pipelines.stages.gazetteer import Alias, Gazetteer, Record
from pipelines.stages.normalize import normalize


def match(text: str) -> str:
    return match_text(display_text(text)[0])[0]


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.example)
def test_every_formula_is_found_by_its_example(formula):
    """An example is in the match layer's spelling, its own row describes it, and inside a text
    nothing of it is left but the name of God that some stand behind."""
    assert " ".join(match(word) for word in formula.example.split()) == formula.example
    described = re.search(f" (?:{formula.words})$", f" {formula.example}")
    assert described
    before = f" {formula.example}"[: described.start()]
    assert match(f"كتب {formula.example} اليوم") == f"كتب{before} اليوم"


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("محمد ﷺ رسولا", "محمد رسولا"),
        ("محمد صلّى اللهُ عليه وسلّم رسولا", "محمد رسولا"),
        ("محمد (صلى الله عليه وآله وسلم) رسولا", "محمد رسولا"),
        ("محمد - صلى الله عليه وعلى آله وصحبه أجمعين وسلم تسليماً كثيراً - رسولا", "محمد رسولا"),
        ("محمد عليه أفضل الصلاة وأتم التسليم رسولا", "محمد رسولا"),
        ("محمد عليه الصــلاة والســلام رسولا", "محمد رسولا"),
        ("موسى وهارون عليهما السلام", "موسي وهارون"),
        ("عائشة رضي الله تعالى عنها وأرضاها روت", "عاءشه روت"),
        ("الصحابة رضوان الله عليهم أجمعين", "الصحابه"),
        ("الراحل، رحمه الله، كتب", "الراحل كتب"),
        ("الراحل رحمة الله عليه كتب", "الراحل كتب"),
        ("الراحلة رحمها الله رحمة واسعة وأسكنها فسيح جناته كتبت", "الراحله كتبت"),
        ("الراحل تغمده الله بواسع رحمته وأسكنه فسيح جناته", "الراحل"),
        ("الراحل غفر الله له ولوالديه", "الراحل"),
        ("الأمير، يرحمه الله، بنى", "الامير بني"),
        ("المؤسس ـ طيّب الله ثراه ـ بنى", "المءسس بني"),
        ("السيد قدس سره الشريف", "السيد"),
        ("المرجع دام ظله الوارف", "المرجع"),
        ("الأمير (حَفِظَهُ الله ورعاه) زار", "الامير زار"),
        ("الأميران حفظهما الله زارا", "الاميران زارا"),
        ("الأمير يحفظه الله ويرعاه زار", "الامير زار"),
        ("الملك أيّده الله بنصره أمر", "الملك امر"),
        ("البلاد أعزّها الله بخير", "البلاد بخير"),
        ("البلاد حرسها الله بخير", "البلاد بخير"),
        ("الرئيس سلّمه الله زار", "الرءيس زار"),
        ("الله ﷻ خالقنا", "الله خالقنا"),
        ("الله سبحانه وتعالى خالقنا", "الله خالقنا"),
        ("بالله عزّ وجلّ نستعين", "بالله نستعين"),
        ("بتوفيق الله تعالى بدأ", "بتوفيق الله بدا"),
        ("الباري جل شأنه", "الباري"),
        ("﷽ نبدأ", "نبدا"),
        ("بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ نبدأ", "نبدا"),  # as phones write it
        ("الصبر، إنّا لله وإنّا إليه راجعون.", "الصبر"),
        # one behind the other, one inside the other
        ("الراحل رحمه الله وإنا لله وإنا إليه راجعون", "الراحل"),
        ("الراحل رحمه الله غفر الله له كتب", "الراحل كتب"),
        ("محمد صلى الله (عز وجل) عليه وسلم رسولا", "محمد رسولا"),
    ],
)
def test_formulas_leave_the_match_layer(written: str, left: str):
    """With a formula in any spelling and between any marks, a text is equal to one without."""
    assert match(written) == left


@pytest.mark.parametrize(
    "text",
    [
        "انتقل إلى رحمة الله والد الكاتب",
        "دعا له أن يرحمه الله كثيرا",
        "لقد حفظه الله من الموت",
        "البلاد التي أعزها الله برجالها",
        "مر بهم ولم يلق عليهم شيئا ولا يلقي عليه السلام أحد",
        "السلام عليكم ورحمة الله وبركاته",
        "قال تعالى في كتابه",
        "يعود غدا إن شاء الله",
        "يعود غدا بإذن الله وبمشيئة الله",
        "حالته مستقرة ولله الحمد",
        "حفظ الله البلاد",
        "عز وجلال",
        "عبدالله تعالى صوته",
        "قرأ ﴿وقل اعملوا﴾ ثم مضى",
        "حزب الله وأنصار الله وعبد الله",
    ],
)
def test_meaning_stays(text: str):
    """Words of a formula that are a clause, a prayer for something, thanks, the speaker's own
    reserve, a name or a verse belong to the text."""
    assert formula_spans(match(text)) == []
    assert len(match(text).split()) == len(re.findall(r"\w+", display_text(text)[0]))


@pytest.mark.parametrize(
    "text", ["رحمه الله", "ﷺ", "بسم الله الرحمن الرحيم", "رحمه الله غفر الله له"]
)
def test_what_is_nothing_else_stays(text: str):
    """A headline of one formula does not vanish."""
    assert match(text) == match_text(match(text))[0] != ""
    assert len(match(text).split()) >= 2


# All but those that leave the name of God before them.
ALONE = [formula for formula in FORMULAS if formula.example not in ("الله تعالي", "الله سبحانه")]
WORDS = st.text("تثجدزسشضطغ", min_size=2, max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(WORDS, st.sampled_from(ALONE)), min_size=1, max_size=12),
    st.lists(st.sampled_from([" {} ", " ({}) ", " - {} - ", "، {}، ", "\n{}\n"]), min_size=12),
)
def test_offsets_lead_over_the_gap(pieces, frames):
    """Formulas go wherever they stand, each word left leads to itself in the text, and there is
    nothing more to leave out."""
    text = ""
    for piece, frame in zip(pieces, frames, strict=False):
        text += f"{piece} " if isinstance(piece, str) else frame.format(piece.example)
    words = [piece for piece in pieces if isinstance(piece, str)]
    left, offsets = match_text(text)
    if words:
        assert left == " ".join(words)
    assert match_text(left)[0] == left
    assert len(offsets) == len(left)
    for word in re.finditer(r"\S+", left):
        assert match_text(text[slice(*offsets.span(*word.span()))])[0] == word.group()


PERSON = Record("per:x", "PER", "عبدالله بن سعد", None, None, None)
NAMED = Gazetteer([Alias(("عبدالله", "بن", "سعد"), 0, "", (PERSON,))])


def mentions(body: str) -> list[str]:
    passage = Passage(body, "raw_body", OffsetMap.identity(len(body)))
    article = Article("a", raw_body=body, display=Display(body=passage, language="ar"))
    found = entities(normalize(article), NAMED).entities
    return [mention.text for entity in found for mention in entity.mentions]


@pytest.mark.parametrize(
    "name",
    [
        "عبدالله بن سعد",
        "عبدالله رضي الله عنه بن سعد",
        "عبدالله (رضي الله عنه) بن سعد",
        "عبدالله، حفظه الله، بن سعد",
        "عبدالله [ رحمه الله ] بن سعد",
        "عبدالله - حفظه الله - بن سعد",
    ],
)
def test_a_formula_does_not_break_a_name(name: str):
    """A name with a formula inside is one mention, and its span in the raw text has the formula."""
    assert mentions(f"وصل {name} أمس") == [name]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("وصل عبدالله بن سعد رضي الله عنه أمس", "عبدالله بن سعد"),
        ("وصل (حفظه الله) عبدالله بن سعد أمس", "عبدالله بن سعد"),
    ],
)
def test_a_formula_beside_a_name_is_no_part_of_it(text: str, name: str):
    """A mention ends where the name ends."""
    assert mentions(text) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "وصل عبدالله رحمه الله. بن سعد غائب",
        "وصل عبدالله (حفظه الله). بن سعد غائب",
        "وصل عبدالله (الأمير) بن سعد",
        "وصل عبدالله\nحفظه الله\nبن سعد",
    ],
)
def test_a_break_beside_a_formula_is_one(text: str):
    """A sentence or a line that ends behind a formula ends the name as well."""
    assert mentions(text) == []
