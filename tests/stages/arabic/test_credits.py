"""Who and where a credit names."""

from pipelines.stages.arabic.credits import agency_of, read_credit


def test_credits():
    """A credit's parts are told apart by the table of names, and a sentence is no credit."""
    assert agency_of("أ.ف.ب") == agency_of("وكالة فرانس برس") == "فرانس برس"
    credit = read_credit("عين اليوم – سامر الأحمد – أبها")
    assert credit is not None
    assert (credit.outlet, credit.byline, credit.dateline) == ("عين اليوم", "سامر الأحمد", "أبها")
    assert read_credit("وقال الوزير - في بيروت") is None
