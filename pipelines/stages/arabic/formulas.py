"""Formulas: honorifics and scripture that Arabic writers add by custom, and that say nothing of
what a text is about. The match layer leaves them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Formula(NamedTuple):
    """Whole words of the match layer. `words` is a regular expression in that layer's spelling;
    after a word of `unless` the same words are part of a sentence. `example` must match.
    """

    words: str
    example: str
    unless: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HIM = "(?:ه|ها|هم|هما|هن)"  # or her, or them
_YOU = "(?:ه|ها|هم|هما|هن|ك|كم)"  # or you
_GOD = "الله(?: تعالي)?"
_REST = f"(?: واسكن{_YOU} فسيح جنات{_YOU})?"  # and may He give him a home in His wide gardens

# Behind these it is a clause: "that God may keep him", "whom God has strengthened".
_CLAUSE = _words(
    "ان بان وان لان لن ولن لم ولم لا ولا ما بما مما لما كما قد لقد وقد فقد الذي التي الذين من فمن"
    " ومن حيث اذا حتي كي لكي"
)
# رحمه الله is also "the mercy of God": the match layer spells ة like ه.
_MERCY = _CLAUSE | _words("الي في سعه")
_GREETED = _words("القي والقي يلقي تلقي القت القوا رد ورد يرد سلم عرض عرضت فقل اقرا")

FORMULAS = (
    # Of the prophets and their companions
    Formula(
        r"صلي الله (?:تعالي )?علي[هك](?: و?علي اله| و?اله)?(?: و?صحبه)?(?: اجمعين)?"
        r"(?: وسلم)?(?: تسليما كثيرا| تسليما)?",
        "صلي الله عليه واله وسلم",
    ),
    Formula(
        rf"علي{_HIM} (?:وعلي اله )?(?:افضل )?الصلاه و(?:اتم |ازكي )?(?:السلام|التسليم)",
        "عليه الصلاه والسلام",
    ),
    Formula(rf"علي{_HIM} السلام", "عليهما السلام", _GREETED),
    Formula("صلعم", "صلعم"),
    Formula(rf"رضي {_GOD} عن{_HIM}(?: وارضا{_HIM})?", "رضي الله عنهما", _CLAUSE),
    Formula(rf"رضوان {_GOD} علي{_HIM}(?: اجمعين)?", "رضوان الله عليهم"),
    # Of the dead
    Formula(
        rf"رحم{_YOU} {_GOD}(?: علي{_HIM}(?! (?:افضل )?ال(?:صلاه|سلام)))?(?: رحمه واسعه)?{_REST}",
        "رحمه الله",
        _MERCY,
    ),
    Formula(rf"يرحم{_YOU} {_GOD}", "يرحمها الله", _CLAUSE),
    Formula(rf"غفر {_GOD} ل{_YOU}(?: ولوالديه)?", "غفر الله له", _CLAUSE),
    Formula(rf"تغمد{_YOU} {_GOD} بواسع رحمته{_REST}", "تغمده الله بواسع رحمته", _CLAUSE),
    Formula(f"طيب الله ثرا{_HIM}", "طيب الله ثراه"),
    Formula("قدس (?:الله )?سره(?: الشريف)?", "قدس سره"),
    # Of the living, and of countries
    Formula(rf"حفظ{_YOU} {_GOD}(?: ورعا{_YOU})?(?: من كل (?:مكروه|سوء))?", "حفظهما الله", _CLAUSE),
    Formula(rf"يحفظ{_YOU} {_GOD}(?: ويرعا{_YOU})?", "يحفظه الله", _CLAUSE),
    Formula(rf"رعا{_YOU} {_GOD}", "رعاه الله", _CLAUSE),
    Formula(rf"ايد{_YOU} {_GOD}(?: بنصره)?", "ايده الله", _CLAUSE),
    Formula(rf"اعز{_YOU} {_GOD}", "اعزه الله", _CLAUSE),
    Formula(rf"سلم{_YOU} {_GOD}", "سلمه الله", _CLAUSE),
    Formula(f"حرسها {_GOD}", "حرسها الله", _CLAUSE),
    Formula("دام ظله(?: الوارف| الشريف)?", "دام ظله"),
    # Of God
    Formula("سبحانه وتعالي", "سبحانه وتعالي"),
    Formula("تبارك وتعالي", "تبارك وتعالي"),
    Formula("عز وجل", "عز وجل"),
    Formula("جل (?:جلاله|وعلا|شانه)", "جل جلاله"),
    Formula("تعالي(?:(?<=[ وبف]الله تعالي)|(?<=[ و]لله تعالي))", "الله تعالي"),
    Formula("سبحانه(?:(?<=[ وبف]الله سبحانه)|(?<=[ و]لله سبحانه))", "الله سبحانه"),
    # Scripture that opens a speech and closes an obituary
    Formula("بسم الله الرحمن الرحيم", "بسم الله الرحمن الرحيم"),
    Formula("انا لله وانا اليه راجعون", "انا لله وانا اليه راجعون"),
    Formula("وانا لله وانا اليه راجعون", "وانا لله وانا اليه راجعون"),
)


def _by_first_letter(words: Iterable[str]) -> str:
    """The alternatives as a tree of two levels: half as many to try at each word of a text."""
    branches: dict[str, list[str]] = {}
    for alternative in words:
        branches.setdefault(alternative[0], []).append(alternative[1:])
    return "|".join(f"{letter}(?:{'|'.join(rests)})" for letter, rests in branches.items())


# It starts with its literal, which a search finds quickly; which formula it is, says the other.
_ANY = re.compile(f" (?:{_by_first_letter(formula.words for formula in FORMULAS)})(?= |$)")
_WHICH = re.compile(f" (?:{'|'.join(f'({formula.words})' for formula in FORMULAS)})(?= |$)")


def formula_spans(match: str) -> list[tuple[int, int]]:
    """Where formulas stand in a text of the match layer, each with a space beside it, so that what
    is left has one space between two words. None in a text that is nothing else.
    """
    spans: list[tuple[int, int]] = []
    for start, end in _found(f" {match}"):  # so that every word has a space before it
        if spans and spans[-1][1] == start - 1:
            start = spans.pop()[0] + 1
        spans.append((start - 1, end - 1))
    if spans and spans[0][0] < 0:
        end = spans[0][1]
        if end == len(match):
            return []
        spans[0] = (0, end + 1)
    return spans


def _found(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    while found := _ANY.search(text, at):
        start, end = found.span()
        which = _WHICH.match(text, start)
        before = text[text.rfind(" ", 0, start) + 1 : start]
        if which and which.lastindex and before not in FORMULAS[which.lastindex - 1].unless:
            yield start, end
            at = end
        else:
            at = start + 1
