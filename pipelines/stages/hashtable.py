"""A table from 36-bit hashes to 28-bit numbers in one array of 8 bytes an entry, a tenth to a fifth
of it free: the loops of `store` walk it themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.stages.compiled import allocating, compiled, signed

U64 = NDArray[np.uint64]

NUMBER_BITS = 28
HASH_BITS = 36
LARGEST = (1 << NUMBER_BITS) - 2  # numbers are stored one higher: an entry of 0 is a free place

FULL, _FILLED = 0.9, 0.8  # of the places, at most and behind a `refill`
_SMALLEST = 1024

_ONE, _NUMBER = np.uint64(1), np.uint64((1 << NUMBER_BITS) - 1)
_HASH, _SHIFT = np.uint64((1 << HASH_BITS) - 1), np.uint64(NUMBER_BITS)
# A home place comes from the upper 32 bits of a hash, so that the product stays within 64.
_SPARE, _HALF = np.uint64(HASH_BITS - 32), np.uint64(32)


def empty() -> U64:
    """A table without entries."""
    return np.zeros(_SMALLEST, dtype=np.uint64)


@compiled
def home(table: U64, key: np.uint64) -> int:
    """Where the entries under `key`, of which the low 36 bits count, begin; they are among those up
    to the next free place (open addressing with linear probing).
    """
    return signed(((key & _HASH) >> _SPARE) * np.uint64(len(table)) >> _HALF)


@compiled
def behind(table: U64, at: int) -> int:
    """The next place: the first one is behind the last."""
    return at + 1 if at + 1 < len(table) else 0


@compiled
def packed_entry(key: np.uint64, number: int) -> np.uint64:
    """What stands in the table for `number` under `key`."""
    return (key & _HASH) << _SHIFT | np.uint64(number) + _ONE


@compiled
def is_under(entry: np.uint64, key: np.uint64) -> bool:
    """Whether an entry's key is this one, as far as the table tells."""
    return bool(entry >> _SHIFT == key & _HASH)


@compiled
def number_of(entry: np.uint64) -> int:
    """An entry's number."""
    return signed(entry & _NUMBER) - 1


@allocating
def refill(table: U64, kept: NDArray[np.bool_], room: int) -> tuple[U64, int]:
    """A table of those entries whose places are `kept`, with room for so many more, and how many
    entries it has.

    Homes rise with the hash, so that both tables are gone through from their beginning to their
    end.
    """
    count = 0
    for at in range(len(table)):
        count += kept[at]
    made = np.zeros(max(_SMALLEST, int((count + room) / _FILLED)), np.uint64)
    _move(table, kept, made)
    return made, count


@compiled
def _move(table: U64, kept: NDArray[np.bool_], made: U64) -> None:
    for at in range(len(table)):
        if kept[at]:
            to = home(made, table[at] >> _SHIFT)
            while made[to]:
                to = behind(made, to)
            made[to] = table[at]
