"""The language gate."""

import pytest

from pipelines.stages.arabic.language import language_of

FIRST = (
    "افتتح وزير النقل صباح اليوم جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل "
    "المتواصل الذي شاركت فيه شركات محلية عدة."
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (FIRST, "ar"),
        ("جسر جديد", "ar"),
        ("رئيس‌جمهور گفت که این پل برای مردم شهر ساخته شده است و از فردا باز می‌شود", "fa"),
        ("وزیر نے کہا کہ یہ پل شہر کے لوگوں کے لیے ہے اور کل سے کھلے گا", "ur"),
        ("وەزیر گوتی ئەم پردە بۆ خەڵکی شارە و لە سبەینێوە دەکرێتەوە", "ckb"),
        ("وزیر وویل چې دا پل د ښار خلکو ته جوړ شوی دی او سبا به پرانیستل شي", "ps"),
        ("The minister said that the bridge is open to the people of the town", "en"),
        ("Le ministre a dit que le pont est ouvert pour les gens de la ville", "fr"),
        ("Мост открыт", "und"),
        ("1436 !", "und"),
        ("", "und"),
    ],
)
def test_language_gate(text: str, language: str):
    """Arabic is told from its neighbours by function words and letters; unknown is und."""
    assert language_of(text) == language
