"""The cases of a sweep: architectures, flows and options, in a fixed order, each once, never all held."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import accumulate, islice, pairwise, product
from math import prod
from operator import itemgetter
from random import Random
from typing import Any

from conslaw.errors import ConslawError, check_flags, check_seed
from conslaw.models.networks import FAMILIES
from conslaw.sweeps.ranges import Pattern, Values, integers, patterns

MOST = 10_000_000  # cases of a sweep, without a sample
TRIES = 200  # draws for each case of a sample
FLOWS = ("gradient", "momentum", "nesterov")


@dataclass(frozen=True)
class Space:
    """The cases that there are; :func:`space` checks what is given.

    Attributes
    ----------
    families : names, or the name of the user's own function
    patterns : for each family, the widths that each layer may have
    powers : of polynomial networks; (None,) for others
    biases, flows : which there are; a flow is a name with its damping (None where it has none)
    max_parameters : leave out larger networks (None: none)
    symmetric : of widths and the same reversed take the smaller only
    sample, seed : how many to draw at random (None: take all)
    first : stop after so many (None: do not)
    """

    families: tuple[str, ...]
    patterns: tuple[tuple[Pattern, ...], ...]
    powers: tuple[int | None, ...]
    biases: tuple[bool, ...]
    flows: tuple[tuple[str | None, str | None], ...]
    max_parameters: int | None = None
    symmetric: bool = False
    sample: int | None = None
    seed: int = 0
    first: int | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The cases, as dictionaries of columns."""
        cases = self._all() if self.sample is None else self._drawn(self.sample)
        return islice(cases, self.first)

    def to_json(self) -> dict[str, Any]:
        """What defines the cases, for the head of a journal."""
        return asdict(self)

    @property
    def most(self) -> int:
        """How many there are at most; all, where nothing is left out."""
        widths = sum(prod(map(len, one)) for family in self.patterns for one in family)
        return widths * len(self.powers) * len(self.biases) * len(self.flows)

    def count(self) -> int:
        """How many there are."""
        overlap = any(len({len(one) for one in family}) < len(family) for family in self.patterns)
        if self.sample is None and self.max_parameters is None and not self.symmetric and not overlap:
            return min(self.most, self.first if self.first is not None else self.most)
        return sum(1 for _ in self)

    def _widths(self, number: int) -> Iterator[tuple[int, ...]]:
        """The widths of a family, each once."""
        seen, lengths = set[tuple[int, ...]](), Counter(map(len, self.patterns[number]))
        for pattern in self.patterns[number]:
            for widths in _architectures(pattern, self.max_parameters, all(self.biases)):
                if widths in seen:
                    continue
                if lengths[len(pattern)] > 1:  # two patterns may have widths in common
                    seen.add(widths)
                yield widths

    def _all(self) -> Iterator[dict[str, Any]]:
        options = list(product(self.powers, self.biases, self.flows))
        for number, family in enumerate(self.families):
            for widths in self._widths(number):
                for power, bias, flow in options:
                    if self._fits(widths, bias):
                        yield _case(family, widths, power, bias, flow)

    def _fits(self, widths: tuple[int, ...], bias: bool) -> bool:
        """Whether there are not too many parameters, and the widths are not the larger of a mirrored pair."""
        if self.symmetric and widths > widths[::-1]:
            return False
        biases = sum(widths[1:-1]) if bias else 0
        most = self.max_parameters
        return most is None or sum(a * b for a, b in pairwise(widths)) + biases <= most

    def _drawn(self, size: int) -> Iterator[dict[str, Any]]:
        """A random sample without repetition, in the order of all."""
        rng = Random(f"sample {self.seed}")
        if self.most <= MOST // 10:
            there_are = sum(1 for _ in self._all())
            chosen = set(rng.sample(range(there_are), min(size, there_are)))
            yield from (case for place, case in enumerate(self._all()) if place in chosen)
            return
        starts, total = [], 0
        for number, family in enumerate(self.patterns):
            for pattern in family:
                starts.append((total, number, pattern))
                total += prod(map(len, pattern)) * len(self.powers) * len(self.biases) * len(self.flows)
        found: dict[tuple[Any, ...], tuple[int, dict[str, Any]]] = {}
        for _ in range(TRIES * size):
            place = rng.randrange(total)
            case = self._at(place, starts)
            if self._fits(tuple(map(int, case["widths"].split("-"))), case["bias"]):
                found.setdefault(tuple(map(str, case.values())), (place, case))
            if len(found) == size:
                break
        yield from (case for _, case in sorted(found.values(), key=lambda one: one[0]))

    def _at(self, place: int, starts: Sequence[tuple[int, int, Pattern]]) -> dict[str, Any]:
        """The case at a place in the order of all, where nothing is left out."""
        start, number, pattern = starts[bisect_right(starts, place, key=itemgetter(0)) - 1]
        place -= start
        digits: list[Any] = []
        for values in reversed([*pattern, self.powers, self.biases, self.flows]):
            place, digit = divmod(place, len(values))
            digits.append(values[digit])
        *widths, power, bias, flow = reversed(digits)
        return _case(self.families[number], widths, power, bias, flow)


def _architectures(pattern: Pattern, most: int | None, biased: bool) -> Iterator[tuple[int, ...]]:
    """All widths of a pattern whose networks have at most so many parameters (without biases if not all have
    them).
    """
    if most is None:
        yield from product(*pattern)
        return
    last, least = len(pattern) - 1, [min(layer) for layer in pattern]

    def added(k: int, before: int, width: int) -> int:
        """The parameters between two layers, and the biases of the second."""
        return width * (before + (biased and 0 < k < last))

    narrowest = [added(k, *two) for k, two in enumerate(pairwise(least), start=1)]
    after = [*accumulate(reversed(narrowest), initial=0)][::-1]  # of the layers from the second after k
    waiting: list[tuple[tuple[int, ...], int]] = [((), 0)]
    while waiting:  # only with what the narrowest layers can complete: else there is no end of dead ends
        widths, size = waiting.pop()
        k = len(widths)
        if k > last:
            yield widths
            continue
        for width in reversed(pattern[k]):
            larger = size + added(k, widths[-1] if widths else 0, width)
            rest = added(k + 1, width, least[k + 1]) + after[k + 1] if k < last else 0
            if larger + rest <= most:
                waiting.append(((*widths, width), larger))


def _case(family: str, widths: Iterable[int], power: Any, bias: Any, flow: Any) -> dict[str, Any]:
    case = {"family": family, "widths": "-".join(map(str, widths)), "bias": bias, "power": power}
    return case | {"flow": flow[0], "damping": flow[1]}


def space(
    families: Sequence[str],
    widths: Any,
    *,
    depth: Values | None = None,
    power: Values | None = None,
    bias: bool | str = False,
    flow: str | Sequence[str] | None = "gradient",
    damping: Any = None,
    max_parameters: int | None = None,
    symmetric: bool = False,
    sample: int | None = None,
    seed: int = 0,
    first: int | None = None,
    own: bool = False,
) -> Space:
    """Check what is given, and return the space of cases (see :func:`conslaw.sweep`).

    ``own`` families are functions of the user; ``flow=None`` asks about models, which are not trained.
    """
    for name, value in (("max_parameters", max_parameters), ("sample", sample), ("first", first)):
        good = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**12
        if value is not None and not good:
            raise ConslawError(f"{name}={value!r}: give a positive integer")
    check_flags(symmetric=symmetric)
    unknown = [] if own else [name for name in families if name not in FAMILIES]
    if unknown or not families or len(set(families)) < len(families):
        known = ", ".join(FAMILIES)
        raise ConslawError(
            f"family {','.join(map(str, families))[:60]!r}: the families are {known}, each once"
        )
    found = Space(
        families=tuple(families),
        patterns=tuple(_patterns(name, widths, depth, own) for name in families),
        powers=_powers(families, power, own),
        biases=_biases(families, bias, own),
        flows=((None, None),) if flow is None else _flows(flow, damping),
        max_parameters=max_parameters,
        symmetric=symmetric,
        sample=sample,
        seed=check_seed(seed),
        first=first,
    )
    if max_parameters is not None and (own or "monomial" in families):
        raise ConslawError(f"max_parameters={max_parameters}: not known for {families[0]} before it is built")
    too_many = sample is None and found.most > MOST and (first is None or first > MOST)
    if too_many and (max_parameters is None or sum(1 for _ in islice(found, MOST + 1)) > MOST):
        raise ConslawError(
            f"widths={str(widths)[:60]!r}: more than {MOST:,} cases; give smaller ranges, or sample=1000"
        )
    if sample is not None and sample > MOST // 10:
        raise ConslawError(f"sample={sample}: give at most {MOST // 10:,}")
    return found


def _patterns(name: str, widths: Any, depth: Values | None, own: bool) -> tuple[Pattern, ...]:
    layers = None if own else FAMILIES[name].count
    if layers is not None and depth is not None and set(integers(depth, "depth")) != {layers - 1}:
        raise ConslawError(f"depth={depth!r}: {name} takes {layers} sizes; leave it out")
    return patterns(widths, None if layers is not None else depth, layers=layers)


def _powers(families: Sequence[str], power: Values | None, own: bool) -> tuple[int | None, ...]:
    takes = [name for name in families if not own and FAMILIES[name].power]
    if power is not None and len(takes) < len(families):
        raise ConslawError(f"power={power!r}: {', '.join(families)} has none; leave it out")
    if not takes:
        return (None,)
    if len(takes) < len(families):
        raise ConslawError(f"family {','.join(families)!r}: sweep {takes[0]} alone, for it has powers")
    powers = integers(2 if power is None else power, "power")
    if min(powers) < 2:
        raise ConslawError(f"power={power!r}: give integers of at least 2")
    return powers


def _biases(families: Sequence[str], bias: bool | str, own: bool) -> tuple[bool, ...]:
    known = {"both": (False, True), "yes": (True,), "no": (False,), True: (True,), False: (False,)}
    if not isinstance(bias, bool | str) or bias not in known:
        raise ConslawError(f"bias={bias!r}: give True, False or 'both'")
    without = [name for name in families if own or not FAMILIES[name].bias]
    if without and bias not in (False, "no"):
        raise ConslawError(f"bias={bias!r}: {without[0]} takes none; leave it out")
    return known[bias]


def _flows(flow: Any, damping: Any) -> tuple[tuple[str, str | None], ...]:
    names = flow.split(",") if isinstance(flow, str) else flow
    names = [str(one).strip() for one in names] if isinstance(names, list | tuple) else []
    if not names or not all(name in FLOWS for name in names):
        raise ConslawError(f"flow={flow!r}: give {', '.join(FLOWS)}, or some of them")
    if damping is not None and "momentum" not in names:
        raise ConslawError(f"damping={damping!r}: these flows have none to choose; add momentum")
    rates = {"momentum": _dampings(damping)}
    return tuple(dict.fromkeys((name, rate) for name in names for rate in rates.get(name, (None,))))


def _dampings(damping: Any) -> tuple[str, ...]:
    """Rates, as text: rational numbers >= 0, or C/t."""
    given = damping if isinstance(damping, str) else [0] if damping is None else damping
    listed = given.split(",") if isinstance(given, str) else given if isinstance(given, Iterable) else [given]
    rates: list[str] = []
    for one in listed:
        text = str(one).strip()
        if re.fullmatch(r"[0-9]{1,9}\.\.[0-9]{1,9}(\.\.[0-9]{1,9})?", text):
            rates += map(str, integers(text, "damping"))
        elif re.fullmatch(r"[0-9]{1,9}(/[1-9][0-9]{0,8}|\.[0-9]{1,9})?", text):
            rates.append(str(Fraction(text)))
        elif re.fullmatch(r"[0-9]{1,9}(/[1-9][0-9]{0,8})?/t", text):
            rates.append(text)
        else:
            raise ConslawError(f"damping={damping!r}: give numbers such as 0,1/2,1..3, or C/t")
    if not rates:
        raise ConslawError(f"damping={damping!r}: give a number, such as 0")
    return tuple(dict.fromkeys(rates))
