"""The gradients of laws in subnetworks: laws with arrays in common together, those that are alike once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conslaw.algebra.finite_field import Residues, rank
from conslaw.algebra.uniform_axes import RIGID
from conslaw.laws.candidates import Combination
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.splitting import outside
from conslaw.laws.subnetworks import Subnetwork, Widths, law_gradients, law_ranks, marked

MOST_COORDINATES = 20_000  # of laws with arrays in common, in a subnetwork


class LawRows:
    """The gradients of combinations in one subnetwork after another.

    Parameters
    ----------
    classes : of the flow
    laws : whose arrays decouple
    apart : sums in arrays in which no other law is counted (:func:`conslaw.laws.splitting.sums_apart`)
    p : the prime
    """

    def __init__(
        self,
        classes: IndexClasses,
        laws: Sequence[Combination],
        apart: Mapping[Combination, frozenset[str]],
        p: int,
    ) -> None:
        self.classes, self.laws, self.apart, self.p = classes, laws, apart, p
        self.arrays_apart = frozenset[str]().union(*apart.values())
        self.parts = _connected([set(c.names) for c in laws])
        self.added = [0] * len(laws)
        self._known = dict[Any, tuple[list[Residues], list[int]]]()
        self._ranks = dict[Any, int]()

    def take(self, whole: Subnetwork, colours: tuple[Widths, ...]) -> None:
        """Look at the next subnetwork: ``added`` says then what each combination adds to the rank."""
        self._here = list[tuple[set[str], Any, list[Residues], Subnetwork]]()
        for members, names in self.parts:
            part = whole.of(sorted(names, key=list(whole.flow.state).index))
            key = self._form(members, part, colours)
            if key not in self._known and part.exact.sum() > MOST_COORDINATES:
                self._known[key] = ([], [0] * len(members))
            if key not in self._known:
                rows = law_gradients(self.classes, part, colours, [self.laws[i] for i in members], self.p)
                self._known[key] = (rows, law_ranks(outside(part, rows, self.apart), self.p))
            rows, added = self._known[key]
            for i, n in zip(members, added, strict=True):
                self.added[i] = n
            self._here.append((names, key, rows, part))

    def rank_in(self, names: Sequence[str]) -> int:
        """The rank of the gradients of all laws in the coordinates of some arrays."""
        total = 0
        for own, key, rows, part in self._here:
            if own & set(names) and rows:
                seen = tuple(name in names for name in part.flow.state)
                if (key, seen) not in self._ranks:
                    columns = marked(part.flow, names)[part.exact]
                    self._ranks[key, seen] = rank(np.concatenate(rows)[:, columns], self.p)
                total += self._ranks[key, seen]
        return total

    def _form(self, members: Sequence[int], part: Subnetwork, colours: tuple[Widths, ...]) -> Any:
        """What laws share that are alike in arrays with the same values."""
        same, place = self.classes.same, {c: i for i, c in enumerate(self.classes.lengths)}
        arrays = list[Any]()
        for n, shape in part.flow.state.items():
            axes = [c if c == RIGID else [w[place[c]] for w in colours] for c in self.classes.state[n]]
            arrays.append((same.get(n, n), shape, axes, n in self.arrays_apart, n in self.classes.zero))
        laws = [
            [(k, x.kind, x.out, [(same.get(n, n), a) for n, a in x.factors]) for k, x in self.laws[i].terms]
            for i in members
        ]
        return repr((colours, arrays, laws))


def _connected(sets: Sequence[set[str]]) -> list[tuple[list[int], set[str]]]:
    """The numbers of sets that hang together, and their union."""
    found = list[tuple[list[int], set[str]]]()
    for i, own in enumerate(sets):
        near = [x for x in found if x[1] & own]
        found = [x for x in found if not x[1] & own]
        members = sorted([i, *(j for x in near for j in x[0])])
        found.append((members, own.union(*(x[1] for x in near))))
    return found
