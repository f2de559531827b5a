"""Whether an answer about a parametrisation is complete for a network near its weights (:func:`attained`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.expressions import Shape
from conslaw.algebra.finite_field import RowSpace, small_prime
from conslaw.algebra.threads import one_blas_thread
from conslaw.attained.enclosures import Array, Balls
from conslaw.attained.given import Sources, constants_of, evaluable, inputs_of, sources_of, weights_of
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.ranks import certified_rank, generic_rank, residues
from conslaw.attained.units import Seen, Units
from conslaw.errors import ConslawError, check_memory, check_seed
from conslaw.flows.flow import Flow
from conslaw.laws.brackets import random_residues

LARGEST = 20_000  # parameters
# inputs that are drawn: at first, before it is said that no more is found, and at most
FIRST, LEAST, MOST = 64, 2048, 2**17
SPARE = 64  # gradients beyond the rank that is left
TURNS = 3  # of more and more rows of balls, each twice as many as before


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
    method : ``"exact"`` (mod a prime, all signs exact) or ``"balls"``
    seen : the rank that floats see, where balls do not prove it; else ``rank``
    inputs : number of inputs looked at
    drawn : whether they were drawn
    left_out : inputs at which some function is too close to a kink
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
    seed: int

    @property
    def about(self) -> str:
        """What the answer is about."""
        return (
            f"{self.title}: the network near the given weights, for all losses, on data near {self._inputs}"
        )

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
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "units"}
        return {**display.stamp("attainment", 1), **plain, "units": self.units.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "attainment", 1)
        plain = {name: data[name] for name in cls.__dataclass_fields__ if name != "units"}
        return cls(**plain, units=Units.from_json(data["units"]))

    @property
    def _inputs(self) -> str:
        return f"{self.inputs:,} inputs " + ("drawn from N(0, 1)" if self.drawn else "given")

    def _summary(self) -> display.Summary:
        chance = self.error_probability
        sure = "proved" if not chance else f"except with probability < {chance:.0e}"
        left = f", {self.left_out:,} of them too close to a kink" if self.left_out else ""
        how = "signs exact, mod a prime" if self.method == "exact" else "by ball arithmetic"
        rows = [
            ("inputs", f"{self._inputs}{left}"),
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
            what = "What the answer says of the parametrisation holds"
            if self.complete:
                what = f"The answer is complete: {self.laws_found:,} laws, no more,"
            chance = self.error_probability
            unless = f", except with probability < {chance:.0e}" if chance else ""
            return [f"{what} for this network near these weights{unless}."]
        lines = []
        if self.seen > self.rank:
            lines.append(f"Floats see a rank of {self.seen:,}, which is not proved at this precision.")
        if self.more is not None:
            lines.append(
                f"Near these weights the network may conserve up to {self.more:,} more than the "
                f"{self.laws_found:,} laws found, as far as these inputs show."
            )
        return lines


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
    """See :meth:`conslaw.Analysis.at`; ``first`` is about the rank of the fields, where to stop."""
    model, seed = flow.model, check_seed(seed)
    if model is None:
        raise ConslawError(f"{flow.name}: fields without a network have no weights that could be looked at")
    n = model.size
    if n > LARGEST:
        raise ConslawError(f"{model.name} has {n:,} parameters: near weights up to {LARGEST:,} are looked at")
    given = frozenset(inputs) if isinstance(inputs, Mapping) else frozenset[str]()
    arrays = weights_of(model, weights, names)
    network = RealNetwork(evaluable(model, given), {**arrays, **constants_of(model)})
    sources = sources_of(network.model, network.inputs)
    own = None if inputs is None else sources.data(inputs_of(network.model, sources, inputs))
    gradient = flow.name == "gradient" and flow.dimension == n
    target = n - laws_found if gradient else n  # laws exclude a larger rank
    first = min(first, target)
    search = _Search(network, sources, own, np.random.default_rng([seed, 1]))
    rank = search.rank(first)
    generic, error = (target, 0.0) if rank == target else generic_rank(model, seed, target)
    if first <= rank < generic:  # the run of the analysis had not looked at all fields
        search = _Search(network, sources, own, np.random.default_rng([seed, 1]))
        rank = search.rank(generic)
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
        attained=rank == generic,
        more=target - rank if gradient else None,
        complete=complete,
        laws_found=laws_found,
        method="balls" if network.smooth else "exact",
        seen=max(search.seen, rank),
        inputs=search.number,
        drawn=own is None,
        left_out=search.left_out,
        units=search.units.units(),
        seed=seed,
    )


class _Search:
    """Gradients at more and more inputs, until the rank that is wanted is reached."""

    def __init__(
        self,
        network: RealNetwork,
        sources: Sources,
        own: Mapping[str, Array] | None,
        rng: np.random.Generator,
    ) -> None:
        self.network, self.sources, self.own, self.rng = network, sources, own, rng
        self.number = self.left_out = self.seen = 0
        self.units = Seen(network.model.readings)
        self.free = [name for name in network.free if own is None or name not in own]

    def batches(self, first: int) -> Iterator[tuple[Mapping[str, Array], list[Array | None], int]]:
        """Inputs whose pieces are certain, these pieces, and how many they are: of a first batch, then of
        batches that double all.
        """
        most = MOST if self.own is None else len(next(iter(self.own.values())))
        end = min(first, most)
        while self.number < end:
            size = min(self.network.batch, end - self.number)
            data = (
                self._drawn(size) if self.own is None else self._given(slice(self.number, self.number + size))
            )
            self.number += size
            patterns, sure = self.network.patterns(data, size)
            self.left_out += int((~sure).sum())
            patterns = [None if x is None else x[sure] for x in patterns]
            self.units.add(patterns, self.rng)
            if sure.any():
                yield {n: x[sure] for n, x in data.items()}, patterns, int(sure.sum())
            if self.number == end:
                end = min(2 * end, most)

    def _given(self, part: slice) -> dict[str, Array]:
        assert self.own is not None
        return {n: x[part] for n, x in self.own.items()}

    def _drawn(self, size: int) -> dict[str, Array]:
        made = {n: self._source(n, (size, *shape)) for n, shape in self.sources.shapes.items()}
        return self.sources.data(made)

    def _source(self, name: str, shape: Shape) -> Array:
        reading = next((r for r in self.network.model.readings if name in r.data), None)
        if reading is None:
            return self.rng.standard_normal(shape)
        if reading.operation != "embedding":
            raise ConslawError(
                f"{reading}: its data are statistics or constants: give them too, inputs={{{name!r}: ...}}"
            )
        return np.asarray(np.eye(shape[-1])[self.rng.integers(0, shape[-1], shape[:-1])])

    def _losses(self, size: int) -> dict[str, Array]:
        return {n: self.rng.standard_normal((size, *self.network.model.data[n])) for n in self.free}

    def rank(self, target: int) -> int:
        """A proved lower bound of the rank of the true gradients, looked for up to a target."""
        return self.in_balls(target) if self.network.smooth else self.mod_p(target)

    def mod_p(self, target: int) -> int:
        """The rank mod a prime, which is at most that over Q."""
        p, model = small_prime(self.rng), self.network.model
        check_memory(16.0 * target * model.size, f"a rank of {target:,} in {model.size:,} coordinates")
        weights = {n: {0: x[None]} for n, x in residues(self.network.weights, p).items()}
        space, turn, before = RowSpace.zero(model.size, p), FIRST, 0
        for data, patterns, size in self.batches(max(FIRST, target // 4)):
            known, few = residues(data, p), True
            while space.rank < target:  # until further losses add nothing at these inputs
                rank = space.rank
                some: slice | Array = slice(None)
                if few and size > target - rank + SPARE:  # not all of them, when little is left
                    some = self.rng.permutation(size)[: target - rank + SPARE]
                at = [None if x is None else x[some] for x in patterns]
                data = {n: x[some] for n, x in known.items()}
                data |= {n: random_residues((size, *model.data[n]), self.rng, p)[some] for n in self.free}
                space = space.extend(self.network.modular(data, at, weights, p))
                few, stuck = few and space.rank > rank, space.rank == rank
                if stuck and isinstance(some, slice):
                    break
            if space.rank >= target:
                break
            if self.own is None and self.number >= turn:
                if self.number >= LEAST and space.rank == before:
                    break
                turn, before = 2 * self.number, space.rank
        return space.rank

    def in_balls(self, target: int) -> int:
        """The rank that is certified in balls."""
        size_of_rows = self.network.model.size
        check_memory(
            64.0 * target * size_of_rows, f"balls of rank {target:,} in {size_of_rows:,} coordinates"
        )
        mid, rad = list[Array](), list[Array]()
        rank, rows, wanted, turn = 0, 0, target + target // 4 + 8, 0
        number = wanted if self.own is None else len(next(iter(self.own.values())))
        entries = sum(prod(self.network.model.data[n]) for n in self.free)
        losses = min(-(-wanted // number), max(1, entries))  # of each input
        for data, patterns, size in self.batches(wanted):
            for _ in range(losses):
                found = self.network.enclosed({**data, **self._losses(size)}, patterns)
                for known, part in ((mid, found.mid), (rad, found.rad)):
                    known.append(np.broadcast_to(part, (size, part.shape[1])))
                rows += size
            if rows < wanted:
                continue
            rank, self.seen = certified_rank(Balls(np.concatenate(mid), np.concatenate(rad)))
            turn, wanted = turn + 1, 2 * wanted
            if rank >= target or turn == TURNS:
                return rank
        if mid and rows < wanted:
            rank, self.seen = certified_rank(Balls(np.concatenate(mid), np.concatenate(rad)))
        return rank
