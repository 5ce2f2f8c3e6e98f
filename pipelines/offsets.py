"""Offset maps: from the characters of a derived text back to those of the text it came from.

A map costs four bytes for each derived character, five where some stand for several, and composes
by indexing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int32]
Widths = NDArray[np.unsignedinteger[Any]]

_EMPTY = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class OffsetMap:
    """Derived character `i` stands for the source characters `[starts[i], starts[i] + widths[i])`.

    Starts and ends are non-decreasing. `widths` is None when each derived character stands for
    exactly one source character, which is nearly always so; else it has the smallest type that
    holds them: one byte up to 255.
    """

    starts: Positions
    widths: Widths | None = None

    @classmethod
    def empty(cls) -> OffsetMap:
        return cls(_EMPTY)

    @classmethod
    def identity(cls, length: int) -> OffsetMap:
        return cls(np.arange(length, dtype=np.int32))

    @classmethod
    def of(cls, starts: Positions, ends: Positions) -> OffsetMap:
        """The map whose character `i` stands for `[starts[i], ends[i])`."""
        widths = ends - starts
        widest = int(widths.max(initial=1))
        return cls(starts, None if widest == 1 else widths.astype(np.min_scalar_type(widest)))

    @classmethod
    def of_edits(cls, length: int, edits: Sequence[tuple[int, int, int]]) -> OffsetMap:
        """The map of a source of `length` characters in which each `(start, end, size)` replaced
        `[start, end)` by `size` characters: all of these stand for all of those.

        The edited spans are not empty, in order and do not overlap.
        """
        if not edits:
            return cls.identity(length)
        starts, ends, sizes = np.array(edits, dtype=np.int32).T
        inside = np.zeros(length + 1, dtype=np.int8)
        inside[starts + 1] += 1
        inside[ends] -= 1
        kept = (np.cumsum(inside, dtype=np.int8) == 0).nonzero()[0].astype(np.int32)
        repeats = np.ones(length, dtype=np.int32)
        repeats[starts] = sizes
        repeats = repeats[kept[:-1]]
        return cls.of(np.repeat(kept[:-1], repeats), np.repeat(kept[1:], repeats))

    @classmethod
    def joined(cls, maps: Sequence[OffsetMap]) -> OffsetMap:
        """The map of the derived texts one behind the other, all of one source."""
        starts = np.concatenate([each.starts for each in maps])
        if all(each.widths is None for each in maps):
            return cls(starts)
        narrow = np.ones(1, dtype=np.uint8)
        widths = [
            np.repeat(narrow, len(each)) if each.widths is None else each.widths for each in maps
        ]
        return cls(starts, np.concatenate(widths))

    def __len__(self) -> int:
        return len(self.starts)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The source span (end exclusive) of the derived span `[start, end)`, which is not empty.

        Raises IndexError for a span outside the derived text.
        """
        if not 0 <= start < end <= len(self.starts):
            raise IndexError(f"span [{start}, {end}) is outside a text of {len(self.starts)}")
        last = end - 1
        width = 1 if self.widths is None else self.widths.item(last)
        return self.starts.item(start), self.starts.item(last) + width

    def slice(self, start: int, end: int) -> OffsetMap:
        """The map of the derived text `[start, end)` alone."""
        return OffsetMap(
            self.starts[start:end], None if self.widths is None else self.widths[start:end]
        )

    def where(self, keep: NDArray[np.bool_]) -> OffsetMap:
        """The map of the derived characters that are kept."""
        return OffsetMap(self.starts[keep], None if self.widths is None else self.widths[keep])

    def shift(self, by: int) -> OffsetMap:
        """The same map into a source that begins `by` characters earlier."""
        return OffsetMap(self.starts + np.int32(by), self.widths)

    def then(self, outer: OffsetMap) -> OffsetMap:
        """This map followed by `outer`: derived → middle → source."""
        starts = outer.starts[self.starts]
        if self.widths is None:
            return OffsetMap(starts, None if outer.widths is None else outer.widths[self.starts])
        last = self.starts + self.widths - 1
        ends = outer.starts[last] + (1 if outer.widths is None else outer.widths[last])
        return OffsetMap.of(starts, ends)
