"""Whether an answer about a parametrisation is complete for a network near its weights (:func:`attained`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.finite_field import RowSpace
from conslaw.algebra.threads import one_blas_thread
from conslaw.attained.enclosures import Array, Balls
from conslaw.attained.given import evaluable, inputs_of, weights_of
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.ranks import certified_rank, generic_rank, prime_of, residues
from conslaw.attained.units import Seen, Units
from conslaw.errors import ConslawError, check_memory, check_seed
from conslaw.flows.flow import Flow
from conslaw.laws.brackets import random_residues

LARGEST = 20_000  # parameters
FIRST, LEAST, MOST = 64, 2048, 2**17  # inputs that are drawn: at first, before it is said that no more is found, at most
ROUNDS = 3  # of rows of balls, each twice as many as before


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
    attained : whether the two ranks are equal: then the answer is complete for this network near these weights
        if it is for the parametrisation
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
        return f"{self.title}: the network near the given weights, for all losses, on data near {self._inputs}"

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
        units = {k: [list(x) if isinstance(x, tuple) else x for x in v] for k, v in asdict(self.units).items()}
        return {**display.stamp("attainment", 1), **plain, "units": units}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "attainment", 1)
        units = {k: tuple(tuple(x) if isinstance(x, list) else x for x in v) for k, v in data["units"].items()}
        plain = {name: data[name] for name in cls.__dataclass_fields__ if name != "units"}
        return cls(**plain, units=Units(**units))

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
        if self.attained and self.complete:
            return [
                f"The answer is complete for this network near these weights: {self.laws_found} laws, no more."
            ]
        if self.attained:
            return ["What the answer says about the parametrisation holds for this network near these weights."]
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


@one_blas_thread()
def attained(
    flow: Flow,
    weights: Any,
    inputs: Any,
    *,
    names: Mapping[str, str] | None,
    seed: int,
    title: str,
    laws_found: int,
    complete: bool,
) -> Attainment:
    """See :meth:`conslaw.Analysis.at`."""
    model = flow.model
    if model is None:
        raise ConslawError(f"{flow.name}: these are fields without a network, whose weights could be looked at")
    seed, n = check_seed(seed), model.size
    if n > LARGEST:
        raise ConslawError(f"{model.name} has {n:,} parameters: near weights up to {LARGEST:,} are looked at")
    given = frozenset(inputs) if isinstance(inputs, Mapping) else frozenset[str]()
    arrays = weights_of(model, weights, names)
    network = RealNetwork(evaluable(model, given), arrays)
    own = None if inputs is None else inputs_of(network.inputs, network.model, inputs)
    euclidean = flow.name == "gradient" and flow.dimension == n
    target = n - laws_found if euclidean else n
    generic, error = generic_rank(model, seed, target)
    bounded = euclidean and generic == target  # laws exclude a larger rank
    run = _Run(network, own, np.random.default_rng([seed, 1]))
    rank = run.balls(generic) if network.smooth else run.exact(generic, seed)
    assert rank <= generic or not bounded
    return Attainment(
        title=title,
        parameters=n,
        rank=rank,
        generic_rank=max(generic, rank),
        error_probability=0.0 if bounded else error,
        attained=rank >= generic,
        more=target - rank if euclidean else None,
        complete=complete,
        laws_found=laws_found,
        method="balls" if network.smooth else "exact",
        seen=max(run.seen, rank),
        inputs=run.number,
        drawn=own is None,
        left_out=run.left_out,
        units=run.units.units(),
        seed=seed,
    )


class _Run:
    """Gradients at more and more inputs, until the rank that is wanted is reached."""

    def __init__(self, network: RealNetwork, own: Mapping[str, Array] | None, rng: np.random.Generator) -> None:
        self.network, self.own, self.rng = network, own, rng
        self.number = self.left_out = self.seen = 0
        self.units = Seen(network.model.readings)
        self.free = [name for name in network.free if own is None or name not in own]

    def batches(self, first: int) -> Iterator[tuple[Mapping[str, Array], list[Array | None], int]]:
        """Inputs whose pieces are certain, these, and how many inputs were looked at."""
        known = None if self.own is None else len(next(iter(self.own.values())))
        wanted = first if known is None else known
        while self.number < (MOST if known is None else known):
            size = min(self.network.batch, wanted - self.number)
            if self.own is None:
                data: Mapping[str, Array] = {n: self._drawn(n, size) for n in self.network.inputs}
            else:
                data = {n: x[self.number : self.number + size] for n, x in self.own.items()}
            self.number += size
            patterns, sure = self.network.patterns(data, size)
            self.left_out += int((~sure).sum())
            patterns = [None if x is None else x[sure] for x in patterns]
            self.units.add(patterns, self.rng)
            if sure.any():
                yield {n: x[sure] for n, x in data.items()}, patterns, int(sure.sum())
            if self.number == wanted:
                wanted *= 2

    def _drawn(self, name: str, size: int) -> Array:
        shape = self.network.model.data[name]
        reading = next((r for r in self.network.model.readings if name in r.data), None)
        if reading is None:
            return self.rng.standard_normal((size, *shape))
        if reading.operation != "embedding":
            raise ConslawError(
                f"{reading}: its data are statistics or constants: give them too, inputs={{{name!r}: ...}}"
            )
        return np.eye(shape[-1])[self.rng.integers(0, shape[-1], (size, *shape[:-1]))]

    def exact(self, target: int, seed: int) -> int:
        """The rank mod a prime, which is at most that over Q."""
        p, model = prime_of(seed), self.network.model
        weights = {n: {0: x[None]} for n, x in residues(self.network.weights, p).items()}
        space, before = RowSpace.zero(model.size, p), 0
        check_memory(16.0 * target * model.size, f"a rank of {target:,} in {model.size:,} coordinates")
        turn = FIRST
        for data, patterns, size in self.batches(FIRST):
            known = residues(data, p)
            while space.rank < target:  # until further losses add nothing at these inputs
                free = {n: random_residues((size, *model.data[n]), self.rng, p) for n in self.free}
                rank = space.rank
                space = space.extend(self.network.modular({**known, **free}, patterns, weights, p))
                if space.rank == rank or not self.free:
                    break
            if space.rank >= target:
                break
            if self.own is None and self.number >= turn:
                if self.number >= LEAST and space.rank == before:
                    break
                turn, before = 2 * self.number, space.rank
        return space.rank

    def balls(self, target: int) -> int:
        """The rank that is certified in balls."""
        check_memory(64.0 * target * self.network.model.size, f"balls of rank {target:,}")
        mid, rad, rank, found = list[Array](), list[Array](), 0, 0
        wanted = target + target // 4 + 8
        losses = 1 if self.own is None else -(-wanted // len(next(iter(self.own.values()))))
        most = sum(int(np.prod(self.network.model.data[n])) for n in self.free)
        for round_ in range(ROUNDS):
            del round_
            for data, patterns, size in self.batches(wanted):
                for _ in range(min(losses, max(most, 1))):
                    free = {n: self.rng.standard_normal((size, *self.network.model.data[n])) for n in self.free}
                    rows = self.network.enclosed({**data, **free}, patterns)
                    mid.append(np.broadcast_to(rows.mid, (size, rows.mid.shape[1])))
                    rad.append(np.broadcast_to(rows.rad, (size, rows.rad.shape[1])))
                    found += size
                if found >= wanted:
                    break
            if not mid:
                return 0
            rank, self.seen = certified_rank(Balls(np.concatenate(mid), np.concatenate(rad)))
            if rank >= target or self.own is not None:
                break
            wanted = 2 * found
        return rank
