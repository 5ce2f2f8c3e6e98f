"""The words at a headline's start that tell what an article does to its story."""

from __future__ import annotations

from typing import NamedTuple

from pipelines.stages.arabic.layers import match_text


class Cue(NamedTuple):
    """`words` (match layer) open the headline; `alone` says that punctuation must follow them.

    تحديث: is a cue and تحديث الأنظمة is none; عاجل opens no other sentence.
    """

    name: str
    words: str
    alone: bool
    example: str


CUES = (
    Cue("urgent", "عاجل", False, "عاجل | انفجار وسط المدينة"),
    Cue("update", "تحديث", True, "تحديث: ارتفاع عدد الضحايا"),
    Cue("update", "محدث", True, "(محدث) ارتفاع عدد الضحايا"),
    Cue("correction", "تصويب", True, "تصويب: في خبر سابق"),
    Cue("correction", "تصحيح", True, "تصحيح - في خبر سابق"),
    Cue("denial", "نفي", False, "نفي رسمي لأنباء الاستقالة"),
    Cue("denial", "ينفي", False, "ينفي ما أشيع عن الاستقالة"),
    Cue("denial", "تنفي", False, "تنفي ما أشيع عن الاستقالة"),
    Cue("withdrawal", "سحب الخبر", False, "سحب الخبر السابق"),
    Cue("withdrawal", "سحب خبر", False, "سحب خبر الاستقالة"),
)


# Most headlines begin with another letter: they need no match layer to be told apart.
_FIRST_LETTERS = frozenset(cue.words[0] for cue in CUES) | set("ىی")  # ي is written so, too


def cues_of(title: str) -> tuple[str, ...]:
    """The cues that open a headline, given in the display layer, each once and in their order."""
    if next(filter(str.isalpha, title), "") not in _FIRST_LETTERS:
        return ()
    text, offsets = match_text(title)
    found: list[str] = []
    at = 0
    while cue := _cue_at(title, text, offsets.starts.tolist(), at):
        found.append(cue.name)
        at += len(cue.words) + 1
    return tuple(dict.fromkeys(found))


def _cue_at(title: str, text: str, starts: list[int], at: int) -> Cue | None:
    for cue in CUES:
        end = at + len(cue.words)
        if not text.startswith(cue.words, at) or text[end : end + 1] not in ("", " "):
            continue
        after = title[starts[end - 1] + 1 :].lstrip()
        if not cue.alone or not after or not after[0].isalnum():
            return cue
    return None
