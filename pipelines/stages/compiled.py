"""The decorator of the loops that machine code makes fast: numba compiles them at their first call
and keeps the result beside the module, so that only a machine's first run waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """`loop` in machine code; it sees arrays and numbers, and nothing of Python.

    Arithmetic is that of the arguments' types: unsigned numbers wrap around, and floats are added
    in the order that is written, so that every machine finds the same.

    It makes no array and returns none. So it need not count references, which would take up to
    four fifths of the time: numba counts one for each array that a call or a look into a tuple
    passes on. What makes arrays is `allocating`, and leaves the loops to others.
    """
    # The underscore is numba's; its own loops are made in the same way.
    return _made(loop, _nrt=False)


def allocating(function: Loop) -> Loop:
    """As `compiled`, for what makes arrays or returns them."""
    return _made(function)


def _made(loop: Loop, **options: bool) -> Loop:
    try:
        made = njit(cache=True, error_model="numpy", **options)(loop)
    except RuntimeError:  # neither the module's folder nor the user's can be written to
        made = njit(cache=False, error_model="numpy", **options)(loop)
    return cast(Loop, made)


@compiled
def signed(number: Any) -> int:
    """A whole number of any size as what `int` is in a loop: 64 bits with a sign. One without a
    sign would make a float together with it.
    """
    return np.int64(number)  # type: ignore[return-value]
