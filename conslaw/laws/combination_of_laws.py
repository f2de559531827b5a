"""Whether a polynomial is a linear combination of entries of conserved families: proved without writing out
any field, in a network of any width.

Which entry a monomial may stand in follows from its indices, so entries are taken off one by one until
nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from math import prod

import numpy as np

from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.expressions import Expression
from conslaw.algebra.polynomials import Polynomials, number, terms
from conslaw.algebra.term_counts import count_terms
from conslaw.errors import TooLargeError
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.candidates import Candidate, Combination
from conslaw.laws.matrix_ansatz import combinations_of_windows
from conslaw.laws.windows import has_windows

MOST_TERMS = 2e5  # of the polynomials
MOST_WORK = 2e6  # terms of entries that are taken off

Monomial = tuple[int, ...]


def is_combination_of_laws(flow: Flow, value: Expression) -> bool:
    """Whether each entry of an array of polynomials is a combination of laws: proved if true."""
    if flow.model is None or not has_windows(flow):
        return False
    [found] = count_terms([value], flow.dimension)
    if found.degree > 2 + flow.time_degree:
        return False
    if prod(found.shape) * found.count > MOST_TERMS:
        raise TooLargeError("a quantity of too many terms")
    numbers = Polynomials(1 + flow.dimension)
    [polynomials] = evaluate([value], number(flow.state), numbers)
    if numbers.denominators:
        return False
    laws, variables, left = _laws(flow), _Variables(flow), MOST_WORK
    for polynomial in terms(polynomials):
        rest = {m: Fraction(c) for m, c in polynomial if m}  # a constant is conserved
        taken = set[tuple[int, tuple[int, ...]]]()
        while rest:
            monomial = next(iter(rest))
            for k, index in variables.entries_with(monomial, laws):
                entry = {} if (k, index) in taken else variables.entry(laws[k], index)
                if entry.get(monomial):
                    break
            else:
                return False
            taken.add((k, index))
            left -= len(entry)
            if left < 0:
                raise TooLargeError("a combination of too many laws")
            factor = rest[monomial] / entry[monomial]
            for m, c in entry.items():
                rest[m] = rest.get(m, Fraction(0)) - factor * c
                if not rest[m]:
                    del rest[m]
    return True


@lru_cache(maxsize=8)
def _laws(flow: Flow) -> list[Combination]:
    """Found once for all that is asked about a flow."""
    return combinations_of_windows(flow)


class _Variables:
    """The variables of a state by array and index."""

    def __init__(self, flow: Flow) -> None:
        self.state, self.names = flow.state, list(flow.state)
        sizes = [prod(shape) for shape in flow.state.values()]
        self.starts = np.cumsum([1, *sizes]).tolist()
        self.first = dict(zip(self.names, self.starts, strict=False))
        self.time = self.first[TIME] if flow.time is not None else 0

    def of(self, variable: int) -> tuple[str, tuple[int, ...]]:
        """Where a variable is."""
        name = self.names[int(np.searchsorted(self.starts, variable, side="right")) - 1]
        index = np.unravel_index(variable - self.first[name], self.state[name]) if self.state[name] else ()
        return name, tuple(map(int, index))

    def entries_with(
        self, monomial: Monomial, laws: Sequence[Combination]
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The laws, by number and index, in which a monomial may stand."""
        power = monomial.count(self.time) if self.time else 0
        own = [self.of(v) for v in monomial if v != self.time]
        for k, law in enumerate(laws):
            for _, candidate in law.terms if law.power == power else ():
                for order in permutations(own) if len(own) == len(candidate.factors) else ():
                    if (index := _index(candidate, order)) is not None:
                        yield k, index

    def entry(self, law: Combination, index: tuple[int, ...]) -> dict[Monomial, int]:
        """An entry of a law, written out."""
        found, clock = dict[Monomial, int](), (self.time,) * law.power
        for coefficient, candidate in law.terms:
            for sign, out in zip(candidate.signs, (candidate.out, candidate.transposed), strict=False):
                fixed = dict(zip(out, index, strict=True))
                for variables in self._products(candidate, fixed):
                    monomial = tuple(sorted([*clock, *variables]))
                    found[monomial] = found.get(monomial, 0) + sign * coefficient
        return {m: c for m, c in found.items() if c}

    def _products(self, candidate: Candidate, fixed: dict[str, int]) -> list[list[int]]:
        """The variables of each product of entries that is summed up."""
        sizes = {
            c: n
            for name, letters in candidate.factors
            for c, n in zip(letters, self.state[name], strict=True)
            if c not in fixed
        }
        count = prod(sizes.values())
        indices = np.indices(tuple(sizes.values())).reshape(len(sizes), count if sizes else 0)
        grid = dict(zip(sizes, indices, strict=True))
        columns = []
        for name, letters in candidate.factors:
            index = [grid.get(c, np.full(count, fixed.get(c, 0))) for c in letters]
            flat = np.ravel_multi_index(index, self.state[name]) if index else np.zeros(count, np.int64)
            columns.append(self.first[name] + flat)
        found: list[list[int]] = np.stack(columns, axis=1).tolist()
        return found


def _index(candidate: Candidate, entries: Sequence[tuple[str, tuple[int, ...]]]) -> tuple[int, ...] | None:
    """The index of the entry of a candidate in which the product of these entries of arrays stands."""
    known = dict[str, int]()
    for (name, letters), (own, index) in zip(candidate.factors, entries, strict=True):
        if name != own or any(known.setdefault(c, i) != i for c, i in zip(letters, index, strict=True)):
            return None
    return tuple(known[c] for c in candidate.out)
