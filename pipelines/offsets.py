"""Offset maps: from the characters of a derived text back to those of the text it came from.

One int32 for each derived character, so a map costs four bytes a character and composes by
indexing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int32]

_EMPTY = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class OffsetMap:
    """`starts[i]` and `ends[i]` bound the source characters that derived character `i` stands for.

    Both are non-decreasing. `ends` is None when each derived character stands for exactly one
    source character, which is nearly always so.
    """

    starts: Positions
    ends: Positions | None = None

    @classmethod
    def empty(cls) -> OffsetMap:
        return cls(_EMPTY)

    @classmethod
    def identity(cls, length: int) -> OffsetMap:
        return cls(np.arange(length, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.starts)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The source span (end exclusive) of the derived span `[start, end)`, which is not empty.

        Raises IndexError for a span outside the derived text.
        """
        if not 0 <= start < end <= len(self.starts):
            raise IndexError(f"span [{start}, {end}) is outside a text of {len(self.starts)}")
        last = end - 1
        stop = self.starts.item(last) + 1 if self.ends is None else self.ends.item(last)
        return self.starts.item(start), stop

    def slice(self, start: int, end: int) -> OffsetMap:
        """The map of the derived text `[start, end)` alone."""
        ends = None if self.ends is None else self.ends[start:end]
        return OffsetMap(self.starts[start:end], ends)

    def shift(self, by: int) -> OffsetMap:
        """The same map into a source that begins `by` characters earlier."""
        ends = None if self.ends is None else self.ends + np.int32(by)
        return OffsetMap(self.starts + np.int32(by), ends)

    def then(self, outer: OffsetMap) -> OffsetMap:
        """This map followed by `outer`: derived → middle → source."""
        if not len(self):
            return self
        last = self.starts if self.ends is None else self.ends - 1
        if self.ends is None and outer.ends is None:
            return OffsetMap(outer.starts[self.starts])
        outer_ends = outer.starts + np.int32(1) if outer.ends is None else outer.ends
        return OffsetMap(outer.starts[self.starts], outer_ends[last])
