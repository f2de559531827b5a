"""Whether an answer about a parametrisation is complete for a network near its weights (:func:`attained`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.threads import one_blas_thread
from conslaw.attained.given import constants_of, evaluable, inputs_of, sources_of
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.kinks import DEEPEST, Kinks
from conslaw.attained.layers import chain_of
from conslaw.attained.ranks import generic_rank
from conslaw.attained.search import LEAST, MOST, Search
from conslaw.attained.units import Units
from conslaw.errors import ConslawError, check_seed
from conslaw.flows.flow import Flow
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.windows import alike, arrays_of_windows, window
from conslaw.models.weights import weights_of

SMALL, LARGEST = 1_000, 20_000  # parameters above which kinks come first; up to which all are looked at
ENOUGH = 0.9  # of the generic rank at kinks: inputs at random see less


@dataclass(frozen=True)
class WindowRank:
    """The rank of the true gradients in some arrays, and the generic one of the fields of their window."""

    arrays: tuple[str, ...]
    rank: int
    generic_rank: int


@dataclass(frozen=True, repr=False)
class Attainment(display.Shown):
    """Whether the true gradients of a network near its weights span all that the parametrisation allows.

    Attributes
    ----------
    title : the model and its flow
    parameters : number of scalar parameters
    rank : of the true gradients at these weights, over the inputs looked at; a **proved** lower bound
    generic_rank : of the fields of the parametrisation at a generic point; at least this is **proved**
    error_probability : bound on the *probability* that the generic rank is larger; 0 if that is excluded
    attained : whether the two ranks are equal: then what the answer says of the parametrisation holds for
        this network near these weights
    more : by how many laws these weights may have more than were found; None for other than gradient flows
    complete : whether the answer about the parametrisation was complete
    laws_found : laws of the answer
    method : ``"exact"`` (mod a prime, all signs exact), ``"kinks"`` (the same, from what changes at kinks of
        a large network, on all inputs) or ``"balls"``
    seen : the rank that floats see, where balls do not prove it; else ``rank``
    inputs : number of inputs looked at
    drawn : whether they were drawn
    left_out : inputs at which it is not certain in which piece some function is
    windows : of a network of more than 20,000 parameters, the ranks window by window; those above are then
        their sums, and what is attained is that each law of the arrays of a window alone is one of the window
    units : which units are off or on at all inputs, or always together
    seed : what reproduces the run
    """

    title: str
    parameters: int
    rank: int
    generic_rank: int
    error_probability: float
    attained: bool
    more: int | None
    complete: bool
    laws_found: int
    method: str
    seen: int
    inputs: int
    drawn: bool
    left_out: int
    units: Units
    windows: tuple[WindowRank, ...]
    seed: int

    @property
    def about(self) -> str:
        """What the answer is about."""
        where = "on all data" if self.method == "kinks" else f"on data near {self._inputs}"
        return f"{self.title}: the network near the given weights, for all losses, {where}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """The rank; and that it is attained, where the generic rank is proved too."""
        known = {"attained": True} if self.attained and not self.error_probability else {}
        return {"rank": self.rank, **known}

    @property
    def probable(self) -> Mapping[str, Any]:
        """That the generic rank is not larger."""
        if not self.error_probability:
            return {}
        known = {"attained": True} if self.attained else {}
        return {**known, "generic_rank": self.generic_rank, "error_probability": self.error_probability}

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        plain = {n: getattr(self, n) for n in self.__dataclass_fields__ if n not in ("units", "windows")}
        windows = [[list(w.arrays), w.rank, w.generic_rank] for w in self.windows]
        return {
            **display.stamp("attainment", 1),
            **plain,
            "units": self.units.to_json(),
            "windows": windows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "attainment", 1)
        plain = {n: data[n] for n in cls.__dataclass_fields__ if n not in ("units", "windows")}
        windows = tuple(WindowRank(tuple(arrays), *ranks) for arrays, *ranks in data["windows"])
        return cls(**plain, units=Units.from_json(data["units"]), windows=windows)

    @property
    def _inputs(self) -> str:
        moved = ", moved to kinks" * (self.method == "kinks")
        return f"{self.inputs:,} inputs " + (f"drawn from N(0, 1){moved}" if self.drawn else "given")

    def _summary(self) -> display.Summary:
        chance = self.error_probability
        sure = "proved" if not chance else display.unless(chance)
        left = f", {self.left_out:,} of them where a piece is not certain" if self.left_out else ""
        how = "by ball arithmetic" if self.method == "balls" else "signs exact, mod a prime"
        rows = [
            ("inputs", f"{self._inputs}{left}"),
            *([("windows", f"{len(self.windows)}, ranks added up")] if self.windows else []),
            ("rank here", f"{self.rank:,}   proved, {how}"),
            ("generic rank", f"{self.generic_rank:,}   {sure}"),
            ("attained", f"yes   {sure}" if self.attained else "no, on these inputs"),
        ]
        units = self.units
        kinds = [("off on all inputs", units.off), ("on on all inputs", units.on)]
        together = [f"{len(x)} units ({', '.join(x[:3])}{', …' if len(x) > 3 else ''})" for x in units.alike]
        kinds.append(("always on together", tuple(together)))
        rows += [(label, f"{len(found)}: {_listed(found)}") for label, found in kinds if found]
        return display.Summary(f"{self.title}, near the given weights", rows, self._remarks())

    def _remarks(self) -> list[str]:
        if self.attained:
            chance = self.error_probability
            unless = f", {display.unless(chance)}" if chance else ""
            return [f"{self._meaning()} for this network near these weights{unless}."]
        lines = []
        if self.seen > self.rank:
            lines.append(f"Floats see a rank of {self.seen:,}, which is not proved at this precision.")
        if self.more is not None:
            lines.append(
                f"Near these weights the network may conserve up to {self.more:,} more than the "
                f"{self.laws_found:,} laws found, as far as these inputs show."
            )
        less = [" + ".join(w.arrays) for w in self.windows if w.rank < w.generic_rank]
        return [*lines, *([f"Not attained in the windows of {_listed(tuple(less))}."] if less else [])]

    def _meaning(self) -> str:
        if self.windows:
            return "What is conserved of the arrays of one window alone is what the window conserves,"
        if self.complete:
            laws = f"{self.laws_found:,} law{'s' * (self.laws_found != 1)}"
            return f"The answer is complete: {laws}, no more,"
        return "What the answer says of the parametrisation holds"


def _listed(things: tuple[str, ...]) -> str:
    return ", ".join(things[:6]) + (", …" if len(things) > 6 else "")


@np.errstate(all="ignore")  # what overflows is enclosed by nothing, and left out
@one_blas_thread()
def attained(
    flow: Flow,
    weights: Any,
    inputs: Any,
    *,
    names: Mapping[str, str] | None,
    seed: int,
    title: str,
    first: int,
    laws_found: int,
    complete: bool,
) -> Attainment:
    """See :meth:`conslaw.answers.Analysis.at`; ``first`` is about the rank of the fields, where to stop."""
    model, seed = flow.model, check_seed(seed)
    if model is None:
        raise ConslawError(f"{flow.name}: fields without a network have no weights that could be looked at")
    n, rng = model.size, np.random.default_rng([seed, 1])
    given = frozenset(inputs) if isinstance(inputs, Mapping) else frozenset[str]()
    arrays = weights_of(model, weights, names)
    network = RealNetwork(evaluable(model, given), {**arrays, **constants_of(model)}, tuple(model.parameters))
    sources = sources_of(network.model, network.inputs)
    given_data = {} if inputs is None else sources.data(inputs_of(network.model, sources, inputs))
    own = given_data or None  # a network without nonlinearities may need none

    def search(part: tuple[str, ...]) -> Search:
        most = MOST if n <= LARGEST else LEAST
        return Search(replace(network, arrays=part), sources, own, rng, most)

    windows, more = tuple[WindowRank, ...](), None
    gradient = flow.name == "gradient" and flow.dimension == n
    run: Kinks | Search
    chain = chain_of(network.model) if n > SMALL else None
    if chain is not None and len(chain.layers) > DEEPEST + 1:
        chain = None
    kinks = Kinks(network, chain, rng) if chain is not None and own is None else None
    rank = kinks.rank() if kinks else 0
    if kinks and (n > LARGEST or rank > ENOUGH * kinks.generic):
        run, generic, error = kinks, kinks.generic, 0.0
        more = n - laws_found - rank if gradient else None
    elif n > LARGEST:
        fix = "leave inputs= out" if chain else "larger ones are not looked at near weights"
        windows, run, error = _by_windows(flow, search, seed, fix)
        rank, generic = (sum(getattr(w, which) for w in windows) for which in ("rank", "generic_rank"))
    else:
        target = n - laws_found if gradient else n  # laws exclude a larger rank
        run = search(network.arrays)
        rank, first = run.rank(min(first, target)), min(first, target)
        generic, error = (target, 0.0) if rank == target else generic_rank(model, seed, target)
        if first <= rank < generic:  # the run of the analysis had not looked at all fields
            run = search(network.arrays)
            rank = run.rank(generic)
        more = target - rank if gradient else None
    if rank > generic:
        raise ConslawError(
            f"{model.name}: true gradients of rank {rank:,}, fields of {generic:,}: a mistake of conslaw"
        )
    return Attainment(
        title=title,
        parameters=n,
        rank=rank,
        generic_rank=generic,
        error_probability=error,
        attained=rank == generic and all(w.rank == w.generic_rank for w in windows),
        more=more,
        complete=complete,
        laws_found=laws_found,
        method="balls" if network.smooth else "kinks" if isinstance(run, Kinks) else "exact",
        seen=max(run.seen, rank) if isinstance(run, Search) else rank,
        inputs=run.number,
        drawn=own is None,
        left_out=run.left_out,
        units=run.units.units(),
        windows=windows,
        seed=seed,
    )


def _by_windows(
    flow: Flow, search: Callable[[tuple[str, ...]], Search], seed: int, fix: str
) -> tuple[tuple[WindowRank, ...], Search, float]:
    """The ranks of the windows of a large network, one of their runs, and how probable it is that a rank of
    the fields of a window is larger.
    """
    assert flow.model is not None
    sizes = {name: prod(shape) for name, shape in flow.model.parameters.items()}
    sets = [x for x in arrays_of_windows(IndexClasses.of(flow)) if sum(sizes[n] for n in x) <= LARGEST]
    sets = [x for x in sets if not any(set(x) < set(y) for y in sets)]
    missing = [n for n in sizes if not any(n in x for x in sets)]
    if missing:
        raise ConslawError(
            f"{flow.model.name} has {flow.model.size:,} parameters, and {missing[0]!r} is in no window of up "
            f"to {LARGEST:,}: {fix}"
        )
    known, made, error = dict[Any, tuple[int, float]](), list[WindowRank](), 0.0
    for arrays in sets:
        part = window(flow, arrays)
        key = alike(part)
        if key not in known:
            assert part.model is not None
            known[key] = generic_rank(part.model, seed, part.model.size)
            error += known[key][1]
        run = search(arrays)
        made.append(WindowRank(arrays, run.rank(known[key][0]), known[key][0]))
    return tuple(made), run, error
