"""The words of the match layer, each with the way back to how it was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from unicodedata import combining

import numpy as np
from numpy.typing import NDArray

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


class Vocabulary:
    """Words to look for in texts. A table of their keys rules out nearly all others, in arrays: no
    text has to be cut into strings for it.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self._has_key = np.zeros(_KEYS, dtype=bool)
        self._has_key[_keys(*_read(" ".join(self._words)))] = True

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def may_have(self, keys: NDArray[np.uint32]) -> list[int]:
        """The places of the keys that one of the words has."""
        places: list[int] = self._has_key.take(keys).nonzero()[0].tolist()
        return places


_KEYS = 1 << 16


def _read(match: str) -> tuple[NDArray[np.uint32], NDArray[np.intp]]:
    """Code points of a text with a space behind it; where each word starts, and one more would."""
    codes = np.frombuffer(f"{match} ".encode("utf-32-le"), dtype="<u4")
    ends = (codes == ord(" ")).nonzero()[0]
    starts = np.zeros(len(ends) + 1, dtype=np.intp)
    np.add(ends, 1, out=starts[1:])
    return codes, starts


def _keys(codes: NDArray[np.uint32], starts: NDArray[np.intp]) -> NDArray[np.uint32]:
    """A number below `_KEYS` for each word, of its first letter, its last two and its length."""
    behind = starts[1:]
    keys = codes.take(starts[:-1]) * np.uint32(31)
    keys += codes.take(behind - 2) * np.uint32(1009)
    keys += codes.take(behind - 3) * np.uint32(32003)
    keys += np.diff(starts).astype(np.uint32) * np.uint32(7)
    return keys & np.uint32(_KEYS - 1)


class Words:
    """A text of the match layer as words, `offsets` leading from it into `display`."""

    def __init__(self, match: str, offsets: OffsetMap, display: str) -> None:
        self.display = display
        self._match = match
        self._offsets = offsets
        self._codes, self._starts = _read(match)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def at(self, place: int) -> str:
        """The word at a place, empty where there is none."""
        if not 0 <= place < len(self):
            return ""
        return self._match[self._starts.item(place) : self._starts.item(place + 1) - 1]

    def between(self, first: int, stop: int) -> list[str]:
        """The words `[first, stop)`, as far as there are any."""
        first, stop = max(0, first), min(stop, len(self))
        if first >= stop:
            return []
        return self._match[self._starts.item(first) : self._starts.item(stop) - 1].split(" ")

    def places(self, wanted: Vocabulary) -> list[int]:
        """Where the wanted words stand, in order."""
        keys = _keys(self._codes, self._starts)
        return [place for place in wanted.may_have(keys) if self.at(place) in wanted]

    def name_at(self, place: int, names: Names) -> tuple[int, int] | None:
        """What the name that begins at this word stands for, and where it stops."""
        for words, value in names.get(self.at(place), ()):
            stop = place + len(words)
            if self.between(place, stop) == words:
                return value, stop
        return None

    def start(self, place: int, skip: int = 0) -> int:
        """Where in the display text the word begins, or its part behind `skip` letters."""
        letter = self._starts.item(place) + skip
        return self._offsets.span(letter, letter + 1)[0]

    def end(self, place: int) -> int:
        """Where in the display text the word ends, its last letter's marks and tatweel included."""
        letter = self._starts.item(place + 1) - 1
        end = self._offsets.span(letter - 1, letter)[1]
        while (mark := self.display[end : end + 1]) and (mark == "\u0640" or combining(mark)):
            end += 1
        return end

    def gap(self, place: int) -> str:
        """What is written between the word before and this one; or before the first, behind the
        last.
        """
        if not 0 <= place <= len(self):
            return ""
        start = self.end(place - 1) if place else 0
        end = self.start(place) if place < len(self) else len(self.display)
        return self.display[start:end]

    def ends_sentence(self, place: int) -> bool:
        """Whether a sentence or a line ends before this word."""
        return not _SENTENCE_ENDS.isdisjoint(self.gap(place))

    def follows(self, place: int, wanted: frozenset[str], unless: frozenset[str]) -> bool:
        """Whether a wanted word stands up to ten words before this one in its sentence, and none of
        the others between.
        """
        for back, word in enumerate(reversed(self.between(place - _REACH, place)), 1):
            if word in wanted:
                between = self.display[self.end(place - back) : self.start(place)]
                return _SENTENCE_ENDS.isdisjoint(between)
            if word in unless:
                return False
        return False
