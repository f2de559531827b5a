"""Ranks of true gradients at more and more inputs, until the wanted rank is reached or stands still."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from conslaw.algebra.expressions import Shape
from conslaw.algebra.finite_field import RowSpace, small_prime
from conslaw.attained.enclosures import Array, Balls
from conslaw.attained.given import Sources
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.ranks import certified_rank, residues
from conslaw.attained.units import Seen
from conslaw.errors import ConslawError, check_memory
from conslaw.laws.brackets import random_residues

logger = logging.getLogger(__name__)

# inputs that are drawn: at first, before it is said that no more is found, and at most
FIRST, LEAST, MOST = 64, 2048, 2**17
SPARE = 64  # gradients beyond the rank that is left
TURNS = 3  # of more and more rows of balls, each twice as many as before


class Search:
    """Gradients at more and more inputs, until the rank that is wanted is reached."""

    def __init__(
        self,
        network: RealNetwork,
        sources: Sources,
        own: Mapping[str, Array] | None,
        rng: np.random.Generator,
        most: int = MOST,
    ) -> None:
        self.network, self.sources, self.own, self.rng = network, sources, own, rng
        self.number = self.left_out = self.seen = 0
        self.most = most if own is None else len(next(iter(own.values())))
        self.units = Seen(network.model.readings)
        self.free = [name for name in network.free if own is None or name not in own]

    def batches(self, first: int) -> Iterator[tuple[Mapping[str, Array], list[Array | None], int]]:
        """Inputs whose pieces are certain, these pieces, and how many they are: of a first batch, then of
        batches that double all.
        """
        end = min(first, self.most)
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
                end = min(2 * end, self.most)

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
        p, model, width = small_prime(self.rng), self.network.model, self.network.width
        check_memory(16.0 * target * width, f"a rank of {target:,} in {width:,} coordinates")
        weights = {n: {0: x[None]} for n, x in residues(self.network.weights, p).items()}
        space, turn, before = RowSpace.zero(width, p), FIRST, 0
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
                _say(f"rank {space.rank:,} of {target:,}, inputs", self.number, self.most)
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
        size_of_rows = self.network.width
        check_memory(
            160.0 * target * size_of_rows, f"balls of rank {target:,} in {size_of_rows:,} coordinates"
        )
        mid, rad = list[Array](), list[Array]()
        rank, rows, wanted, turn = 0, 0, target + target // 4 + 8, 0
        number = wanted if self.own is None else self.most
        entries = sum(prod(self.network.model.data[n]) for n in self.free)
        losses = min(-(-wanted // number), max(1, entries))  # of each input
        for data, patterns, size in self.batches(wanted):
            for _ in range(losses):
                _say("gradients in balls", min(rows, wanted), wanted)
                found = self.network.enclosed({**data, **self._losses(size)}, patterns)
                for known, part in ((mid, found.mid), (rad, found.rad)):
                    known.append(np.broadcast_to(part, (size, part.shape[1])))
                rows += size
            if rows < wanted:
                continue
            logger.info("rank of %s gradients in balls, by floats", f"{rows:,}", extra={"units": 0})
            rank, self.seen = certified_rank(Balls(np.concatenate(mid), np.concatenate(rad)))
            turn, wanted = turn + 1, 2 * wanted
            if rank >= target or turn == TURNS:
                return rank
        if mid and rows < wanted:
            rank, self.seen = certified_rank(Balls(np.concatenate(mid), np.concatenate(rad)))
        return rank


def _say(what: str, done: int, total: int) -> None:
    """How far a search is."""
    logger.info("%s: %s of %s", what, f"{done:,}", f"{total:,}", extra={"done": done, "total": total})
