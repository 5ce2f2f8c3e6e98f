"""The table of line rules."""

import pytest

from pipelines.stages.arabic.furniture import LINE_RULES

TITLE = "افتتاح جسر جديد فوق النهر"
FIRST = (
    "افتتح وزير النقل صباح اليوم جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل "
    "المتواصل الذي شاركت فيه شركات محلية عدة."
)


@pytest.mark.parametrize("rule", LINE_RULES, ids=lambda rule: f"{rule.kind}:{rule.example}")
def test_every_line_rule_matches_its_example(rule):
    """Each rule takes its example, and neither a headline nor a paragraph."""
    assert rule.pattern.fullmatch(rule.example)
    assert not rule.pattern.fullmatch(TITLE)
    assert not rule.pattern.fullmatch(FIRST)
