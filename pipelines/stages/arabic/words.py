"""The words of the match layer, each with the way back to how it was written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate, compress, count
from unicodedata import combining

from pipelines.offsets import OffsetMap

# A name's first word, and then all its words with what the name stands for, the longest first.
Names = dict[str, list[tuple[list[str], int]]]

_SENTENCE_ENDS = frozenset(".؟?!؛\n")
_REACH = 10


def by_first_word(names: Mapping[str, int]) -> Names:
    """`names` for `Words.name_at`."""
    found: Names = {}
    for name in sorted(names, key=len, reverse=True):
        words = name.split()
        found.setdefault(words[0], []).append((words, names[name]))
    return found


class Words:
    """A text of the match layer as words, `offsets` leading from it into `display`."""

    def __init__(self, match: str, offsets: OffsetMap, display: str) -> None:
        self.all = match.split(" ")
        self.display = display
        self._offsets = offsets

    @cached_property
    def _letters_before(self) -> list[int]:
        """Letters in all the words before each; the spaces between them are not counted."""
        return list(accumulate(map(len, self.all), initial=0))

    def at(self, place: int) -> str:
        """The word at a place, empty where there is none."""
        return self.all[place] if 0 <= place < len(self.all) else ""

    def places(self, wanted: frozenset[str]) -> list[int]:
        """Where the wanted words stand, in order."""
        return list(compress(count(), map(wanted.__contains__, self.all)))

    def name_at(self, place: int, names: Names) -> tuple[int, int] | None:
        """What the name that begins at this word stands for, and where it stops."""
        for words, value in names.get(self.at(place), ()):
            stop = place + len(words)
            if self.all[place:stop] == words:
                return value, stop
        return None

    def start(self, place: int, skip: int = 0) -> int:
        """Where in the display text the word begins, or its part behind `skip` letters."""
        letter = self._letters_before[place] + place + skip
        return self._offsets.span(letter, letter + 1)[0]

    def end(self, place: int) -> int:
        """Where in the display text the word ends, its last letter's marks and tatweel included."""
        letter = self._letters_before[place + 1] + place
        end = self._offsets.span(letter - 1, letter)[1]
        while (mark := self.display[end : end + 1]) and (mark == "\u0640" or combining(mark)):
            end += 1
        return end

    def gap(self, place: int) -> str:
        """What is written between the word before and this one; or before the first, behind the
        last.
        """
        if not 0 <= place <= len(self.all):
            return ""
        start = self.end(place - 1) if place else 0
        end = self.start(place) if place < len(self.all) else len(self.display)
        return self.display[start:end]

    def ends_sentence(self, place: int) -> bool:
        """Whether a sentence or a line ends before this word."""
        return not _SENTENCE_ENDS.isdisjoint(self.gap(place))

    def follows(self, place: int, wanted: frozenset[str], unless: frozenset[str]) -> bool:
        """Whether a wanted word stands up to ten words before this one in its sentence, and none of
        the others between.
        """
        for before in range(place - 1, max(-1, place - 1 - _REACH), -1):
            word = self.all[before]
            if word in wanted:
                between = self.display[self.end(before) : self.start(place)]
                return _SENTENCE_ENDS.isdisjoint(between)
            if word in unless:
                return False
        return False
