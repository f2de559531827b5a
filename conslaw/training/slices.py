"""Slices of tensors, copied at each record and evaluated many records at a time.

Right after a backward pass the caches hold nothing of a monitor's code: each operation on a tensor then takes
several times what it takes a moment later (measured: 10 to 50 instead of 3 microseconds).  One copy of the
few rows that are looked at is all that is done there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RECORDS = 32  # that are evaluated together
LARGEST = 2**16  # numbers of a record that are copied; more are evaluated at once


class Slices:
    """Records of slices of these shapes; ``evaluate`` makes a vector of the slices of one."""

    def __init__(self, torch: Any, evaluate: Callable[[Sequence[Any]], Any], like: Sequence[Any]) -> None:
        self._evaluate, self._copy = evaluate, torch._foreach_copy_
        self._buffers = [x.new_empty((RECORDS, *x.shape)) for x in like]
        self._rows = [[buffer[k] for buffer in self._buffers] for k in range(RECORDS)]
        self._together = torch.vmap(lambda *slices: evaluate(slices))
        self._used = 0
        self._done = list[npt.NDArray[np.float64]]()

    def keep(self, slices: Sequence[Any]) -> Kept:
        """Copy the slices of a record."""
        self._copy(self._rows[self._used], slices)
        self._used += 1
        kept = Kept(self, len(self._done) * RECORDS + self._used - 1)
        if self._used == RECORDS:
            self._done.append(numbers(self._together(*self._buffers)))
            self._used = 0
        return kept

    def numbers(self, record: int) -> npt.NDArray[np.float64]:
        """The vector of a record."""
        chunk, place = divmod(record, RECORDS)
        if chunk < len(self._done):
            return np.asarray(self._done[chunk][place])
        return numbers(self._evaluate(self._rows[place]))


class Kept:
    """The vector of a record, to be evaluated."""

    __slots__ = ("_record", "_slices")

    def __init__(self, slices: Slices, record: int) -> None:
        self._slices, self._record = slices, record

    def numbers(self) -> npt.NDArray[np.float64]:
        """The vector itself."""
        return self._slices.numbers(self._record)


def numbers(values: Any) -> npt.NDArray[np.float64]:
    """A tensor, or what is kept of one, as an array of NumPy."""
    if isinstance(values, Kept):
        return values.numbers()
    return np.asarray(values.detach().cpu().numpy(), np.float64)
