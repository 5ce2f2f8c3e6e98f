"""A table from 36-bit hashes to 28-bit numbers in one packed array: 8 bytes an entry, and a sixth
to a quarter of it free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

NUMBER_BITS = 28
HASH_BITS = 36
LARGEST = (1 << NUMBER_BITS) - 2  # numbers are stored one higher: an entry of 0 is a free place

_HASH = (1 << HASH_BITS) - 1
_NUMBER = (1 << NUMBER_BITS) - 1
_FULL, _FILLED = 0.84, 0.72  # of the places, at most and behind a rebuild
_SMALLEST = 1024
# A home place comes from the upper 32 bits of a hash, so that the product stays within 64.
_SPARE = HASH_BITS - 32
_BEHIND = 64  # places behind the last home place
_HALF = np.uint64(32)


# Given the low 36 bits of keys and their numbers, which of these entries are to stay.
Kept = Callable[[NDArray[np.uint64], NDArray[np.int64]], NDArray[np.bool_]]


class HashTable:
    """Open addressing with linear probing. A hash may have several numbers.

    Home places rise with the hash, so that entries in the order of their hashes are in the order
    of their places as well.
    """

    def __init__(self) -> None:
        self._table: NDArray[np.uint64]
        self._empty(_SMALLEST)

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return self._table.nbytes

    def numbers(self, key: int) -> list[int]:
        """The numbers under `key`, of which the low 36 bits count."""
        return self.run(key)[0]

    def found(self, keys: Iterable[int]) -> set[int]:
        """The numbers under any of these keys."""
        view, size = self._view, self._size
        found = set()
        for key in keys:
            key &= _HASH
            at = (key >> _SPARE) * size >> 32
            while entry := view[at]:
                if entry >> NUMBER_BITS == key:
                    found.add((entry & _NUMBER) - 1)
                at += 1
        return found

    def run(self, key: int) -> tuple[list[int], int]:
        """The numbers under `key`, and the free place behind its run, for `put`."""
        view, key = self._view, key & _HASH
        at = (key >> _SPARE) * self._size >> 32
        found = []
        while entry := view[at]:
            if entry >> NUMBER_BITS == key:
                found.append((entry & _NUMBER) - 1)
            at += 1
        return found, at

    def put(self, at: int, key: int, number: int) -> bool:
        """Enter `number` under `key` in the place that `run` gave; False when the table should be
        rebuilt before more comes.
        """
        self._view[at] = (key & _HASH) << NUMBER_BITS | number + 1
        self._used += 1
        return self._used < self._most and at < self._last

    def add(self, key: int, number: int) -> bool:
        """Enter `number` under `key`; False as `put` says."""
        return self.put(self.run(key)[1], key, number)

    def replace(self, key: int, old: int, new: int) -> None:
        """Put `new` in the place of `old` under `key`, where it stands."""
        view, key = self._view, key & _HASH
        wanted = key << NUMBER_BITS | old + 1
        at = (key >> _SPARE) * self._size >> 32
        while view[at] != wanted:
            at += 1
        view[at] = key << NUMBER_BITS | new + 1

    def rebuild(self, kept: Kept) -> None:
        """Drop all entries but those that `kept` says, and make the table as large as it should be
        for the rest.
        """
        entries = self._table[self._table != 0]
        numbers = (entries & np.uint64(_NUMBER)).astype(np.int64) - 1
        self._fill(entries[kept(entries >> np.uint64(NUMBER_BITS), numbers)])

    def load(self, keys: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        """Enter all of these, beside what is there."""
        entries = (keys & np.uint64(_HASH)) << np.uint64(NUMBER_BITS)
        entries |= numbers.astype(np.uint64) + np.uint64(1)
        self._fill(np.concatenate((self._table[self._table != 0], entries)))

    def _fill(self, entries: NDArray[np.uint64]) -> None:
        """Entries in the order of their home places, each at its home or behind the one before it:
        that is linear probing without a search for each.
        """
        entries.sort()
        self._empty(max(_SMALLEST, int(len(entries) / _FILLED)))
        homes = ((entries >> np.uint64(NUMBER_BITS + _SPARE)) * np.uint64(self._size)) >> _HALF
        steps = np.arange(len(entries))
        places = np.maximum.accumulate(homes.astype(np.int64) - steps) + steps
        if len(places) and places[-1] >= len(self._table) - _BEHIND:
            self._allocate(int(places[-1]) + _BEHIND)
        self._table[places] = entries
        self._used = len(entries)

    def _empty(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._most = int(size * _FULL)
        self._allocate(size)

    def _allocate(self, size: int) -> None:
        # What runs over the last home place stands behind it; the very last ones stay free.
        self._table = np.zeros(size + 2 * _BEHIND, dtype=np.uint64)
        self._view = self._table.data
        self._last = size + _BEHIND
