"""Which bytes to give to an element so that Flink spreads elements evenly: it has the
work of a key done where the hash of its bytes says, and few keys seldom fall evenly by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice

import mmh3

_MASK = 0xFFFFFFFF
# Tries for each element: about the square of the workers are needed.
_TRIES = 20_000


def salted(elements: Sequence[bytes], workers: int) -> list[bytes]:
    """Each element with a space and a number behind it, so that the n-th of them goes to worker n
    modulo `workers`, the job's parallelism. On another runner, or where the runner's hash becomes
    another one, they are spread by chance, as without it.
    """
    return [_salted(element, number % workers, workers) for number, element in enumerate(elements)]


def _salted(element: bytes, worker: int, workers: int) -> bytes:
    best = element
    for salt in islice(count(), _TRIES):
        candidate = element + b" %d" % salt
        if worker_of(_hash(candidate), workers) == worker:
            best = candidate
            if worker_of(_hash_before(candidate), workers) == worker:
                break
    return best


def worker_of(key_hash: int, workers: int) -> int:
    """Where Flink puts a key of this hash: its KeyGroupRangeAssignment, by the number of key groups
    that it chooses itself.
    """
    groups = min(max(128, 1 << (workers + workers // 2 - 1).bit_length()), 32_768)
    return _flinks_murmur(key_hash) % groups * workers // groups


def _hash(element: bytes) -> int:
    """That of a key in Beam's runner: Guava's murmur3_128 of the encoded element, as an int."""
    return mmh3.hash64(_encoded(element), signed=False)[0] & _MASK


def _hash_before(element: bytes) -> int:
    """The same in older ones, 2.62 among them: that of Java's ByteBuffer."""
    found = 1
    for byte in reversed(_encoded(element)):
        found = (31 * found + (byte - 256 if byte > 127 else byte)) & _MASK
    return found


def _encoded(element: bytes) -> bytes:
    """By Beam's coder of bytes: their length, then they."""
    length, size = bytearray(), len(element)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([*length, size]) + element


def _flinks_murmur(code: int) -> int:
    """`MathUtils.murmurHash` of Flink, of an int of 32 bits."""
    code = code * 0xCC9E2D51 & _MASK
    code = (code << 15 | code >> 17) & _MASK
    code = code * 0x1B873593 & _MASK
    code = (code << 13 | code >> 19) & _MASK
    code = (code * 5 + 0xE6546B64) & _MASK ^ 4
    code = (code ^ code >> 16) * 0x85EBCA6B & _MASK
    code = (code ^ code >> 13) * 0xC2B2AE35 & _MASK
    code ^= code >> 16
    return min(code, (1 << 32) - code) & 0x7FFFFFFF
