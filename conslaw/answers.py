"""The answers to the two questions: how many conservation laws, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conslaw import display
from conslaw.certificates.written import certificate
from conslaw.flows.flow import Flow
from conslaw.laws.ansatz import Degree, PolynomialLaws
from conslaw.laws.lie import LieRanks
from conslaw.laws.matrix_ansatz import (
    MatrixLaws,
)
from conslaw.laws.matrix_notation import MOST_TERMS, LawFamily, law_families
from conslaw.laws.rational import RationalLaws
from conslaw.laws.splitting import Split

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False)
class Count:
    """How many independent conservation laws a flow has; the attributes carry the names of the JSON object.

    Attributes
    ----------
    model, flow : names
    widths, bias : how a named family was called, else None
    damping, weight_decay, metric : how the flow was made
    parameters : number of scalar parameters
    state_dimension : number of state coordinates (n)
    lie_ranks : ranks of the Lie algebra's trace with brackets of up to 1, 2, ... fields; **proved** lower
        bounds
    laws_at_most : n minus the last rank; **proved** upper bound on the number of independent laws
    generic : True for a random point; False if ``point`` was given, for which alone the answer then holds
    error_probability : bound on the *probability* that there are fewer laws than ``laws_at_most``: 0 where
        that is excluded, None where nothing is known (at a given point, with a given prime, or if the
        brackets were not exhausted)
    primes, seed : what reproduces the run
    bound : the run that proves ``laws_at_most``; the JSON has its ``split``
    seconds : wall-clock seconds, ``lie``, ``ansatz`` and ``total``
    """

    model: str
    widths: tuple[int, ...] | None
    bias: bool | None
    flow: str
    damping: str | None
    weight_decay: str
    metric: str
    parameters: int
    state_dimension: int
    lie_ranks: tuple[int, ...]
    laws_at_most: int
    generic: bool
    error_probability: float | None
    primes: tuple[int, ...]
    seed: int
    bound: LieRanks | Split = field(repr=False)
    seconds: Mapping[str, float] = field(repr=False)

    @property
    def split(self) -> Split | None:
        """How the network was split into subnetworks, at a special point; None for the plain route."""
        return self.bound if isinstance(self.bound, Split) else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the attributes."""
        values = {name: getattr(self, name) for name in Count.__dataclass_fields__ if name != "bound"}
        values["split"] = self.split.to_json() if self.split else None
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def title(self) -> str:
        """What was asked about: the model and its flow."""
        widths = " " + "-".join(map(str, self.widths)) if self.widths else ""
        options = [
            *([f"damping {self.damping}"] if self.damping is not None else []),
            *([f"metric {self.metric}"] if self.metric != "euclidean" else []),
            *([f"weight decay {self.weight_decay}"] if self.weight_decay != "0" else []),
        ]
        kind = f"{self.flow} flow{' (' + ', '.join(options) + ')' if options else ''}"
        return f"{self.model}{widths}{' with bias' if self.bias else ''}, {kind}"

    def _summary(self) -> display.Summary:
        where = "" if self.generic else " at the given point only"
        rows = [
            ("parameters", f"{self.parameters}"),
            ("state dimension", f"{self.state_dimension}"),
            ("Lie ranks", ", ".join(map(str, self.lie_ranks))),
            *([("split into", str(self.split))] if self.split else []),
            ("laws at most", f"{self.laws_at_most}   proved{where}"),
        ]
        if not self.laws_at_most and self.generic:
            rows.append(("laws exactly", "0   proved"))
        elif self.error_probability is not None and self.error_probability < 1:
            rows.append(
                (
                    "laws exactly",
                    f"{self.laws_at_most}   except with probability < {self.error_probability:.0e}",
                )
            )
        return display.Summary(self.title, rows)

    def __repr__(self) -> str:
        return display.text(self._summary())

    def _repr_html_(self) -> str:
        return display.html(self._summary())


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Count):
    """A count together with the explicit polynomial laws (see :class:`Count` for the inherited attributes).

    Attributes
    ----------
    degree : the degree of the ansatz
    homogeneous : whether only monomials of exactly that degree were looked at
    laws_found : rank of the gradients of ``laws``; **proved** lower bound on the number of independent laws
    complete : True iff ``laws_found == laws_at_most``: both bounds meet, so the number of laws is **proved**
    ansatz : how the laws were found: ``"monomials"`` (all polynomials up to the degree) or ``"matrix"``
        (combinations of the model's own arrays)
    laws : the laws as SymPy expressions in the model's own names
    polynomial_laws : those that are polynomials (in the state, and where needed the logarithms of its
        entries)
    rational_laws : those that are quotients, independent of the polynomial ones
    lower_split : where the gradients of the laws of the matrix ansatz were counted in subnetworks: in which
    analyzed : the flow
    """

    degree: Degree
    homogeneous: bool
    laws_found: int
    complete: bool
    ansatz: str
    polynomial_laws: PolynomialLaws | MatrixLaws
    rational_laws: RationalLaws | None
    lower_split: Split | None
    analyzed: Flow

    def certificate(self) -> dict[str, Any]:
        """Everything that is needed to check both bounds again, ready for JSON.

        Returns
        -------
        dict
            In the documented format (:doc:`certificates`); :func:`conslaw.verify` checks it.

        Examples
        --------
        >>> import conslaw
        >>> analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([3, 2, 4])))
        >>> certificate = analysis.certificate()
        >>> certificate["claim"]
        'linear 3-2-4, gradient flow: exactly 3 independent conservation laws near a generic point'
        >>> conslaw.verify(certificate).ok
        True
        """
        return certificate(
            self.analyzed,
            upper=self.bound,
            laws=self.polynomial_laws,
            quotients=self.rational_laws,
            lower=self.lower_split,
            laws_found=self.laws_found,
            seed=self.seed,
        )

    @cached_property
    def laws(self) -> tuple[sympy.Expr, ...]:
        """The laws as SymPy expressions, in order of degree.

        Raises
        ------
        ConslawError
            If the matrix ansatz found more than can be written out; :attr:`law_families` has them.
        """
        return tuple(law for found in self._found for law in found.expressions())

    @cached_property
    def _families(self) -> tuple[list[LawFamily], list[int]]:
        if isinstance(self.polynomial_laws, MatrixLaws):
            return list(self.polynomial_laws.families), []
        if any(c.kind == "log" for c in self.polynomial_laws.coordinates) or not len(self.polynomial_laws):
            return [], list(range(len(self.polynomial_laws)))
        return law_families(self.analyzed, self.polynomial_laws.polynomials)

    @property
    def law_families(self) -> tuple[LawFamily, ...]:
        """The laws in matrix notation, as combinations of the model's own arrays, each entry of which is a
        law.
        """
        return tuple(self._families[0])

    @property
    def _found(self) -> list[PolynomialLaws | MatrixLaws | RationalLaws]:
        return [self.polynomial_laws, *([self.rational_laws] if self.rational_laws else [])]

    def _tried(self) -> str:
        """What else was looked for, for the remark on laws that were not found."""
        if isinstance(self.polynomial_laws, MatrixLaws):
            return ""
        logs = any(c.kind == "log" for c in self.polynomial_laws.coordinates)
        tried = [
            *(["with logarithms"] if logs else []),
            *(["as a quotient"] if self.rational_laws is not None else []),
        ]
        return f", and none was found {' or '.join(tried)}" if tried else ""

    @property
    def _many(self) -> bool:
        """Whether there are too many laws to write them out."""
        return isinstance(self.polynomial_laws, MatrixLaws) and self.polynomial_laws.terms > MOST_TERMS

    def _written(self) -> list[str]:
        return [law for found in self._found for law in found.strings()]

    def _latex(self) -> list[str]:
        return [law for found in self._found for law in found.latex()]

    def _summary(self) -> display.Summary:
        counted = super()._summary()
        found, most = self.laws_found, self.laws_at_most
        up_to = (
            f"{'of exactly' if self.homogeneous else 'up to'} degree {self.degree}"
            if self.ansatz == "monomials"
            else "of these kinds"
        )
        rows = [row for row in counted.rows if row[0] != "laws exactly"]
        rows.append(("laws found", f"{found}   proved independent"))
        if self.ansatz == "matrix":
            rows.append(("found by", "matrix ansatz: combinations of the arrays"))
        rows.append(("complete", "proved" if self.complete else "no: the bounds do not meet"))
        remarks = []
        if not self.complete and self.split:
            remarks.append(
                f"Proved: {found} to {most} independent laws.  The upper bound is a rank at a special "
                f"point and may be too large;\n"
                f"a plain rank is too much work here."
            )
        elif not self.complete:
            chance = (
                ""
                if self.error_probability is None
                else f" (except with probability < {self.error_probability:.0e})"
            )
            remarks.append(
                f"Proved: {found} to {most} independent laws.  Probable: exactly {most}{chance};\n"
                f"then {most - found} of them {'has' if most - found == 1 else 'have'} no polynomial form "
                f"{up_to}{self._tried()}."
            )
        if not self.complete and self.ansatz == "matrix":
            remarks.append(
                f"Polynomials up to degree {self.degree} that are not of these kinds were not looked for."
            )
        return display.Summary(counted.title, rows, remarks, self._sections(up_to))

    def _sections(self, up_to: str) -> list[display.Section]:
        """The laws in matrix notation, and as polynomials those left over, or all if they are few."""
        if not self.laws_found:
            return [display.Section(f"no polynomial laws {up_to}")]
        families = [rf"{f.latex}\quad\text{{({str(f).partition('   ')[2]})}}" for f in self.law_families]
        sections = (
            [display.Section("laws in matrix notation", [str(f) for f in self.law_families], families)]
            if families
            else []
        )
        if self._many:
            return [
                *sections,
                display.Section(
                    f"{self.laws_found:,} polynomials; one at a time: analysis.law_families[0].law(...)"
                ),
            ]
        written, latex = self._written(), self._latex()
        if len(written) <= display.SHOWN or not families:
            return [*sections, display.Section("laws", written, latex)]
        left = [*self._families[1], *range(len(self.polynomial_laws), len(written))]
        others = display.Section("and as polynomials", [written[i] for i in left], [latex[i] for i in left])
        return (
            [*sections, others]
            if left
            else [*sections, display.Section(f"as {len(written)} polynomials: analysis.laws, or --json")]
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the attributes; the laws are strings that SymPy parses back, None if
        they are too many.
        """
        degree = (
            self.degree if isinstance(self.degree, int) else {str(k): int(v) for k, v in self.degree.items()}
        )
        found = {
            "degree": degree,
            "homogeneous": self.homogeneous,
            "laws_found": self.laws_found,
            "complete": self.complete,
            "ansatz": self.ansatz,
            "laws": None if self._many else self._written(),
            "law_families": [family.to_json() for family in self.law_families],
        }
        known = super().to_json()
        seconds = known.pop("seconds")
        return {**known, **found, "seconds": seconds}
