"""Certificates of dimensions of the functions of a user's own model, checked with other code: fields that
leave the functions unchanged, by exact expansion, from above; gradients mod p from below.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import flint
import numpy as np

from conslaw.algebra.finite_field import drawn
from conslaw.certificates import kernel
from conslaw.certificates.budget import MOST_ENTRIES, NotChecked, Sizes
from conslaw.certificates.kernel import Polynomials, Refuted, Residues
from conslaw.certificates.reading import Terms, code, expression, inputs, parse, prime
from conslaw.flows.coordinates import entries

BATCH = 256  # points at which gradients are taken at once


def claim(model: Mapping[str, Any], bounds: Mapping[str, int]) -> str:
    """What is proved, in words that follow from the other sections."""
    least, most = bounds["lower"], bounds["upper"]
    number = f"is {most}" if least == most else f"is at least {least} and at most {most}"
    return f"the dimension of the functions of the model {model['name']!r} of this certificate {number}"


class OwnModel:
    """The model of a certificate, and what is claimed of it."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.whole, section = whole, whole["model"]
        self.parameters = {name: tuple(shape) for name, shape in section["parameters"].items()}
        self.data = {name: tuple(shape) for name, shape in section["data"].items()}
        self.arrays = {**self.parameters, **self.data}
        if len(self.arrays) < len(self.parameters) + len(self.data):
            raise Refuted("an array is both a parameter and data")
        if sum(map(prod, self.arrays.values())) > MOST_ENTRIES:
            raise NotChecked(f"arrays of more than {MOST_ENTRIES:,} entries")
        self.size = sum(map(prod, self.parameters.values()))
        self.code = code(expression(section["graph"], inputs(self.arrays)))
        if self.code[-1].shape != ():
            raise Refuted("the potential is no number")
        used = {node.attribute for node in self.code if node.operation == "input"}
        self.data = {name: shape for name, shape in self.data.items() if name in used}
        names = {c.text(1): i for i, c in enumerate(entries(self.parameters))}
        if len(names) < self.size:
            raise Refuted("two parameters have the same name")
        self.fields = [
            {names[at]: parse(text, names) for at, text in field.items() if at in names}
            for field in whole["upper"]["fields"]
        ]
        if any(
            len(one) < len(field) for one, field in zip(self.fields, whole["upper"]["fields"], strict=True)
        ):
            raise Refuted("a field moves something that is no parameter")

    def work(self, allowed: float) -> str:
        """Refuse, before anything is begun, what would take too much work."""
        sizes = Sizes(sum(map(prod, self.arrays.values())))
        slopes = kernel.gradient(self.code, sizes.variables(self.arrays), sizes)
        expanded = sum(float(slopes[name].terms.sum()) for name in self.parameters if name in slopes)
        most = max((sum(map(len, field.values())) for field in self.fields), default=0)
        rows = float(self.whole["bounds"]["lower"])
        if rows > self.size:
            raise Refuted(f"{self.size} parameters have no more than so many independent gradients")
        needed = rows * (4 * sizes.products + rows * self.size) + len(self.fields) ** 2.0 * self.size
        if self.fields:
            needed += 10 * sizes.terms + 100 * len(self.fields) * most * expanded
        said = f"about {needed / 1e9:.2g}·10⁹ multiplications"
        if needed > allowed:
            raise NotChecked(f"{said}: --budget {needed / 1e9 * 1.05:.2g} allows them")
        return said

    def upper(self) -> str:
        """Each field X has X f = 0; as many as are independent at one point are less than all parameters."""
        given = self.whole["upper"]
        p = prime(given["prime"])
        if self.fields:
            self._check_fields()
        point = drawn(given["key"], (1, self.size), p)[0].tolist()
        rows = [[self._value(field.get(i, {}), point, p) for i in range(self.size)] for field in self.fields]
        found = self.size - kernel.rank(np.array(rows, dtype=object).reshape(len(rows), self.size), p)
        if found != self.whole["bounds"]["upper"]:
            raise Refuted(f"{self.size} parameters and these fields give {found}")
        return f"{found}, {self.size} parameters less {self.size - found} independent fields"

    def _check_fields(self) -> None:
        numbers = Polynomials(sum(map(prod, self.arrays.values())))
        slopes = kernel.gradient(self.code, numbers.variables(self.arrays), numbers)
        generators, flat = numbers.context.gens(), list[Any]()
        for name, shape in self.parameters.items():
            flat += slopes[name].reshape(-1).tolist() if name in slopes else [numbers.zero] * prod(shape)
        for k, field in enumerate(self.fields):
            total = numbers.zero
            for i, terms in field.items():
                for monomial, c in terms.items():
                    term = numbers.context.constant(flint.fmpq(c.numerator, c.denominator))
                    for j in monomial:
                        term *= generators[j]
                    total += term * flat[i]
            if len(total):
                raise Refuted(f"field {k} changes the functions")

    @staticmethod
    def _value(terms: Terms, point: list[int], p: int) -> int:
        values = (
            c.numerator * pow(c.denominator, -1, p) * prod(point[j] for j in m) for m, c in terms.items()
        )
        return sum(values) % p

    def lower(self) -> str:
        """The rank of as many gradients as the bound says."""
        given, count = self.whole["lower"], self.whole["bounds"]["lower"]
        p = prime(given["prime"])
        at = {n: drawn(f"{given['key']}/{n}", (1, 1, *s), p) for n, s in self.parameters.items()}
        every = {n: drawn(f"{given['key']}/{n}", (1, count, *s), p) for n, s in self.data.items()}
        rows = [np.zeros((0, self.size), dtype=np.uint64)]
        for start in range(0, count, BATCH):
            some = min(BATCH, count - start)
            batch = {n: x[:, start : start + some] for n, x in every.items()}
            slopes = kernel.gradient(self.code, {**at, **batch}, Residues(p))
            columns = [
                np.broadcast_to(slopes[n][0], (some, *s)).reshape(some, -1)
                if n in slopes
                else np.zeros((some, prod(s)), dtype=np.uint64)
                for n, s in self.parameters.items()
            ]
            rows.append(np.concatenate(columns, axis=1))
        found = kernel.rank(np.concatenate(rows), p)
        if found != count:
            raise Refuted(f"the rank is {found}")
        return f"{found}, the rank of so many gradients, mod {p}"

    def conclusion(self) -> str:
        """The claim is what the bounds say."""
        said = claim(self.whole["model"], self.whole["bounds"])
        if said != self.whole["claim"]:
            raise Refuted(f"what is proved is {said!r}")
        met = self.whole["bounds"]["lower"] == self.whole["bounds"]["upper"]
        return "both bounds meet" if met else "the bounds do not meet, and the claim says so"
