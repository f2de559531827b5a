"""What is asked, and what the routes have proved about it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from conslaw.errors import TooLargeError
from conslaw.flows.flow import Flow
from conslaw.laws.ansatz import Degree, PolynomialLaws, ansatz_size, polynomial_laws
from conslaw.laws.candidates import Combination
from conslaw.laws.colourings import Colouring
from conslaw.laws.dark_entries import DarkEntries
from conslaw.laws.exact_fields import expansion
from conslaw.laws.group_ranks import GroupColouring
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import LieRanks
from conslaw.laws.matrix_ansatz import MatrixLaws, has_numbers, terms_of_few
from conslaw.laws.plain_rank import PlainRun
from conslaw.laws.rational import RationalLaws, Search
from conslaw.laws.splitting import Coloured, Split
from conslaw.laws.windows import flow_in_pieces, has_windows

LITTLE = 2.0  # units up to which the route that leaves less open goes before one that is cheaper
PER_UNKNOWN, PER_TERM = 4e-6, 6.7e-6  # units, measured: of the ansatz with monomials, of the fields in full

LEAST = 0.004  # of any ansatz
MANY = 20_000  # monomials with data that are given: equations with large numbers are dear

Bound: TypeAlias = LieRanks | Coloured


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked: the arguments of :func:`conslaw.analyze`, checked.

    Attributes
    ----------
    given : the flow; ``flow`` is what is looked at
    """

    given: Flow
    seed: int = 0
    budget: float = 60.0
    workers: int = 1
    split: bool | None = None
    ansatz: str | None = None
    degree: Degree = 2
    time_degree: int | None = None
    homogeneous: bool = False
    max_unknowns: int = 10_000_000
    only_count: bool = False

    @cached_property
    def flow(self) -> Flow:
        """The flow, in the pieces of its arrays if these are combined and fall into pieces."""
        in_pieces = self.by_arrays and isinstance(self.degree, int)  # else the degree names the arrays
        return (in_pieces and flow_in_pieces(self.given)) or self.given

    @cached_property
    def by_arrays(self) -> bool:
        """Whether combinations of arrays are looked for before polynomials, or in their place."""
        if self.ansatz is not None:
            return self.ansatz == "matrix"
        unknowns = ansatz_size(self.given, self.degree, self.time_degree, self.homogeneous)
        many = unknowns > MANY and self.given.model is not None and has_numbers(self.given)
        return many or work_of_ansatz(self.given, unknowns) > min(LITTLE, self.budget)

    @cached_property
    def has_windows(self) -> bool:
        """Whether the flow acts array by array."""
        return has_windows(self.flow)

    @cached_property
    def terms_of_few(self) -> float:
        """A bound for the number of terms of the fields with a few neurons of each class."""
        return terms_of_few(IndexClasses.of(self.flow))

    @cached_property
    def monomials(self) -> tuple[int, float]:
        """How many unknowns the ansatz with monomials has, and how many units it takes."""
        return self._ansatz(logs=False)

    @cached_property
    def logarithms(self) -> tuple[int, float]:
        """The same with logarithms."""
        return self._ansatz(logs=True)

    @cached_property
    def search(self) -> Search | None:
        """What a search for quotients needs to know of the flow; None if it is too large."""
        try:
            return Search.of(self.flow)
        except TooLargeError:
            return None

    def _ansatz(self, logs: bool) -> tuple[int, float]:
        unknowns = ansatz_size(self.flow, self.degree, self.time_degree, self.homogeneous, logs=logs)
        return unknowns, work_of_ansatz(self.flow, unknowns)

    def polynomials(self, *, logs: bool = False) -> PolynomialLaws:
        """All laws of that ansatz."""
        return polynomial_laws(
            self.flow,
            degree=self.degree,
            time_degree=self.time_degree,
            logs=logs,
            homogeneous=self.homogeneous,
            seed=self.seed,
            max_unknowns=self.max_unknowns,
        )


def work_of_ansatz(flow: Flow, unknowns: int) -> float:
    """Of the ansatz."""
    return LEAST + max(PER_UNKNOWN * min(unknowns, 10**300), PER_TERM * expansion(flow))


@dataclass(frozen=True, eq=False)
class Known:
    """What is proved about a question, and what the routes keep for when they are gone on.

    Attributes
    ----------
    question : Question
    bound : the best run that proves an upper bound, if there is one
    plain : the plain run, as far as it has come
    pair : the two runs with large primes, which say how probable it is that nothing was missed
    colourings : those that were not tried yet, from cheap to dear; None before they are looked for
    dark : the entries that they leave out
    group_colourings : the same of groups
    idle : whether the last colouring proved no more than the one before
    combinations : the conserved combinations of arrays that are known; None before they are looked for
    whole : whether all arrays were looked at together, not only in windows
    counted, in_blocks : whether the gradients of all combinations were counted in one matrix, array by array
    laws, found : the laws, and how many of them (with the quotients) are independent
    lower : the split in which the gradients of ``laws`` were counted, if they were
    quotients : those that are independent of ``laws``; None before they are looked for
    searched : up to which degree they were looked for
    linear, polynomials, logs : whether linear laws, all polynomials were looked for, also in logarithms
    """

    question: Question
    bound: Bound | None = None
    plain: PlainRun | None = None
    pair: tuple[LieRanks, ...] = ()
    colourings: tuple[Colouring, ...] | None = None
    dark: DarkEntries | None = None
    group_colourings: tuple[GroupColouring, ...] | None = None
    idle: bool = False
    combinations: Sequence[Combination] | None = None
    whole: bool = False
    counted: bool = False
    in_blocks: bool = False
    laws: PolynomialLaws | MatrixLaws | None = None
    found: int = 0
    lower: Split | None = None
    quotients: RationalLaws | None = None
    searched: int = 0
    linear: bool = False
    polynomials: bool = False
    logs: bool = False

    @property
    def at_most(self) -> int:
        """Proved: so many laws at most."""
        return self.bound.laws_at_most if self.bound else self.question.flow.dimension

    @property
    def special(self) -> bool:
        """Whether the bound is a rank at a special point, which may be less than that at a generic one."""
        return self.bound is not None and not isinstance(self.bound, LieRanks)

    @property
    def met(self) -> bool:
        """Whether both bounds are known and equal."""
        return self.bound is not None and self.at_most == self.found

    def proved(self, proves: str) -> int | None:
        """The bound of a kind, ``"at most"`` or ``"at least"``; None if there is none yet."""
        if proves == "at most":
            return None if self.bound is None else self.at_most
        return None if self.laws is None else self.found

    def bounded(self, bound: Bound) -> Known:
        """The same with an upper bound, if it is better than the one that is known."""
        better = self.bound is None or bound.ranks[-1] > self.bound.ranks[-1]
        return replace(self, bound=bound) if better else self
