"""The language gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.arabic.language import _TABLE, language_of
from pipelines.stages.arabic.layers import display_text

ARABIC = (
    "افتتح وزير النقل صباح اليوم جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل "
    "المتواصل الذي شاركت فيه شركات محلية عدة. وقال الوزير إن الجسر سيخفف الزحام عن وسط المدينة."
)
PERSIAN = (
    "وزیر راه صبح امروز پل تازه‌ای را بر روی رودخانه افتتاح کرد. ساخت این پل سه سال طول کشید و "
    "شرکت‌های محلی در آن سهم داشتند. وزیر گفت که این پل از شلوغی مرکز شهر می‌کاهد."
)
URDU = (
    "وزیر مواصلات نے آج صبح دریا پر نئے پل کا افتتاح کیا۔ اس پل کی تعمیر میں تین سال لگے اور مقامی "
    "کمپنیوں نے حصہ لیا۔ وزیر نے کہا کہ پل سے شہر کے مرکز میں رش کم ہو گا۔"
)
ENGLISH = (
    "The minister of transport opened a new bridge over the river this morning. The work took "
    "three years, and he said that it would keep the lorries out of the centre of the town. "
)
MENU = "Home News Sport Weather Culture Video About us Contact Sign in Subscribe Search " * 8
VERSE = "وقال الشاعر العربي: على قدر أهل العزم تأتي العزائم وتأتي على قدر الكرام المكارم. "


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ARABIC, "ar"),
        ("جسر جديد", "ar"),
        ("انقطاع الكهرباء عن أحياء واسعة", "ar"),
        ("ليش سكروا الجسر وما حدا قال شي؟", "ar"),  # Levantine
        ("هو الكوبري ده هيفتح امتى يا جماعة؟ محدش عارف", "ar"),  # Egyptian
        ("شنو صار بالجسر؟ گالوا راح يفتحونه باچر الصبح", "ar"),  # Iraqi, with its own letters
        ("واش القنطرة تحلات ولا باقي؟ الناس ديال الدوار كيتسناو", "ar"),  # Moroccan
        ("پاريس تستضيف معرض گوگل للخرائط القديمة وڤيينا تنتظر", "ar"),  # letters of foreign names
        ("وزیر راه از پل تازه دیدن کرد", "fa"),
        ("رئیس‌جمهور گفت که این پل برای مردم شهر ساخته شده است و از فردا باز می‌شود", "fa"),
        ("باران شدید در شمال كشور راه‌ها را بست", "fa"),  # typed with ك and ي
        ("سيل راه روستاها را بست و مردم به شهر رفتند", "fa"),
        ("آیت‌الله از نشست بین‌المللی در تهران خبر داد", "fa"),
        ("وزیر نے کہا کہ یہ پل شہر کے لوگوں کے لیے ہے اور کل سے کھلے گا", "ur"),
        ("تیز بارش سے سڑکیں بند", "ur"),
        ("ہسپتال میں نئی مشینیں لگا دی گئیں", "ur"),
        ("وەزیر گوتی ئەم پردە بۆ خەڵکی شارە و لە سبەینێوە دەکرێتەوە", "ckb"),
        ("باران ڕێگاکانی داخست", "ckb"),
        ("قوتابخانەکە هەفتەی داهاتوو دەکرێتەوە", "ckb"),
        ("وزیر وویل چې دا پل د ښار خلکو ته جوړ شوی دی او سبا به پرانیستل شي", "ps"),
        ("د باران له امله لارې وتړل شوې", "ps"),
        ("په ښوونځي کې نوی کتابتون پرانیستل شو", "ps"),
        ("يېڭى كۆۋرۈك ئەتە ئېچىلىدۇ، دېدى مىنىستىر", "ug"),
        ("نئين پل جو افتتاح سڀاڻي ٿيندو، وزير چيو", "sd"),
        ("بو کؤرپو صاباح آچیلان بیر یول اوچون دیر", "az"),
        ("نٔو قَدَل چھُ پگاہ کھُلان، ؤزیٖرَن وۆن زِ یہِ چھُ شہرٕ کٮ۪ن لوٗکَن خٲطرٕ", "ks"),
        ("The minister said that the bridge is open to the people of the town", "en"),
        ("Le ministre a dit que le pont est ouvert pour les gens de la ville", "fr"),
        ("Bakan yeni köprünün yarın açılacağını ve yolun kısalacağını söyledi", "und"),
        ("Wezîr got ku pira nû wê sibê ji bo xelkê bajêr were vekirin", "und"),
        ("El ministro dijo que el puente nuevo se abre mañana para la gente de la ciudad", "und"),
        ("al wazir qal inno el jisr el jdeed ra7 yeftah bokra el sob7", "und"),  # Arabic in Latin
        ("Мост открыт", "und"),
        ("Мост открыт для жителей города, сообщил министр: في الغد", "und"),
        ("1436 !", "und"),
        ("", "und"),
    ],
)
def test_language_of_a_text(text: str, language: str):
    """Arabic, its dialects and foreign names included, is told from its neighbours; unknown is
    und.
    """
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"{ARABIC}\n{ENGLISH}", "ar"),
        (f"{PERSIAN[:60]}\n{ARABIC}", "ar"),
        (f"{URDU[:60]}\n{ARABIC}", "ar"),
        (f"{MENU}\n{ARABIC * 2}", "ar"),
        (f"{MENU * 2}\n{ARABIC * 6}", "ar"),
        (f"{PERSIAN} {VERSE}", "fa"),
        (f"{VERSE}\n{PERSIAN * 2}", "fa"),
        (f"{VERSE * 8}\n{PERSIAN * 20}", "fa"),
        (f"{URDU} {VERSE}", "ur"),
        (f"{MENU}\n{PERSIAN * 2}", "fa"),
        (f"{ENGLISH * 3}\n{VERSE}", "en"),
        (f"{ENGLISH}\n{MENU}", "en"),
    ],
)
def test_most_of_the_text_decides(text: str, language: str):
    """A menu, a headline, a quotation or a verse in another language changes nothing."""
    assert language_of(text) == language


@pytest.mark.parametrize("text", [ARABIC, "اتفاق على هدنة جديدة بين الطرفين", VERSE])
def test_spelling_does_not_matter(text: str):
    """Arabic stays Arabic on a Persian or an Urdu keyboard, with harakat, with tatweel and in
    presentation forms.
    """
    assert language_of(text.translate(str.maketrans("كيى", "کیی"))) == "ar"
    assert language_of(text.translate(str.maketrans("كيىهة", "کییہۃ"))) == "ar"
    assert language_of(text.replace("ه", "ھ")) == "ar"
    assert language_of("".join(letter + "\u064e" * letter.isalpha() for letter in text)) == "ar"
    assert language_of(text.replace("ي", "يـــ")) == "ar"
    isolated = text.translate(str.maketrans("ابتكلمنهوي", "ﺍﺏﺕﻙﻝﻡﻥﻩﻭﻱ"))
    assert isolated != text
    assert language_of(display_text(isolated)[0]) == "ar"


def test_every_example_is_of_its_language():
    """Each sentence of the table, a row of words' example, is told right."""
    rows = [line.split("\t") for line in _TABLE.read_text(encoding="utf-8").splitlines()]
    examples = [(row[3], row[0]) for row in rows if len(row) == 4 and row[1] == "words"]
    assert len(examples) > 8
    for example, language in examples:
        assert language_of(example) == language


@given(st.text(), st.integers(0, 300))
def test_any_text_has_a_language(text: str, times: int):
    """Nothing raises, and without letters nothing is told."""
    found = language_of(text * times)
    assert found in {"ar", "fa", "ur", "ckb", "ps", "ug", "sd", "ks", "az", "en", "fr", "und"}
    if not any(map(str.isalpha, text)):
        assert found == "und"
