"""The answers to the two questions: how many conservation laws, and which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from conslaw import display
from conslaw.attained.near_weights import NearWeights
from conslaw.certificates.written import certificate
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow
from conslaw.laws.ansatz import Degree, PolynomialLaws
from conslaw.laws.lie import LieRanks
from conslaw.laws.matrix_ansatz import MatrixLaws
from conslaw.laws.matrix_notation import MOST_TERMS, FoundFamily, LawFamily, law_families
from conslaw.laws.rational import RationalLaws
from conslaw.laws.splitting import Coloured, Split
from conslaw.laws.state_space import StateSpace
from conslaw.models.readings import said
from conslaw.recorded import RecordedLaws, RecordedSplit
from conslaw.remarks import remarks
from conslaw.routes.plan import RouteTaken

if TYPE_CHECKING:
    import sympy

VERSION = 1  # of the JSON of counts
ANALYSIS_VERSION = 2  # and of analyses: 2 has the state and the terms of families


@dataclass(frozen=True, eq=False, repr=False)
class Count(display.Shown):
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
    readings : how each nonlinearity of the network was read, op by op: see :class:`conslaw.Model`
    bound : the run that proves ``laws_at_most``; the JSON has its ``split``
    route : what was tried, what it took by estimate, what it proved, and why it ended
    seconds : wall-clock seconds, in all (``total``), of laws (``ansatz``), of the rest (``lie``), and of each
        route
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
    readings: tuple[Mapping[str, Any], ...] = field(repr=False)
    bound: LieRanks | Coloured | RecordedSplit | None = field(repr=False)
    route: RouteTaken = field(repr=False)
    seconds: Mapping[str, float] = field(repr=False)

    @property
    def split(self) -> Coloured | RecordedSplit | None:
        """How the network was split into subnetworks, at a special point; None for the plain route."""
        return self.bound if isinstance(self.bound, Coloured | RecordedSplit) else None

    @property
    def about(self) -> str:
        """What the answer is about: where nonlinearities were read as free data, laws are laws of the
        network, and upper bounds are about its parametrisation.
        """
        where = "near a generic point" if self.generic else "at the given point"
        made = "the potential makes" if not self.readings else "its readings make"
        data = "the data that are given" if " given (" in self.model else "all data"
        whom = f"for {data} and {'all labels' if 'with cross-entropy' in self.model else 'all losses'}"
        laws = f"laws found hold for the network, {whom}; bounds from above are about "
        said = f"{laws * bool(self.readings)}the parametrisation that {made}"
        return f"{self.title}: {said}, {whom}, {where}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """The bounds that are proved, and 0 laws where that is the bound."""
        exactly = {"laws_exactly": 0} if not self.laws_at_most and self.generic else {}
        return {"lie_ranks": self.lie_ranks, "laws_at_most": self.laws_at_most, **exactly}

    @property
    def probable(self) -> Mapping[str, Any]:
        """That the upper bound is attained, and how probable it is that it is not."""
        if self.error_probability in (None, 0) or "laws_exactly" in self.proved:
            return {}
        return {"laws_exactly": self.laws_at_most, "error_probability": self.error_probability}

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the attributes."""
        names = [name for name in Count.__dataclass_fields__ if name not in ("bound", "route", "seconds")]
        values = {name: getattr(self, name) for name in names}
        split = {**self.split.to_json(), "text": str(self.split)} if self.split else None
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        spent = {"route": self.route.to_json(), "seconds": dict(self.seconds)}
        return {**display.stamp("count", VERSION), "about": self.about, **lists, "split": split, **spent}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A count from its JSON; it shows what it showed, and the run itself is not in it."""
        display.check_stamp(data, "count", VERSION)
        return cls(**_fields_of_count(data))

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
        rows: list[tuple[str, str | int]] = [
            ("parameters", self.parameters),
            ("state dimension", self.state_dimension),
            ("Lie ranks", display.numbers(self.lie_ranks)),
            *([("split into", str(self.split))] if self.split else []),
            ("laws at most", f"{self.laws_at_most:,}   proved{where}{self._of_what}"),
        ]
        if not self.laws_at_most and self.generic:
            rows.append(("laws exactly", f"0   proved{self._of_what}"))
        elif self.error_probability is not None and self.error_probability < 1:
            rows.append(
                (
                    "laws exactly",
                    f"{self.laws_at_most:,}   {display.unless(self.error_probability)}",
                )
            )
        if self.readings:
            rows.insert(2, ("read as free data", self._read()))
        return display.Summary(self.title, rows, self.route.remarks())

    @property
    def _of_what(self) -> str:
        """What an upper bound is about, where that is not the network itself."""
        return " for the parametrisation" if self.readings else ""

    def _read(self) -> str:
        """The operations that were read, each with its number."""
        numbers = Counter(reading["operation"] for reading in self.readings)
        return ", ".join(name + (f" × {n}" if n > 1 else "") for name, n in numbers.items())

    def explained(self) -> str:
        """How the answer was found, and how each nonlinearity was read."""
        lines = [f"  {i}. {said(reading)}" for i, reading in enumerate(self.readings, start=1)]
        return "\n".join([str(self.route), *(["readings", *lines] if lines else [])])


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Count, NearWeights):
    """A count together with the explicit polynomial laws (see :class:`Count` for the inherited attributes).

    Attributes
    ----------
    degree : the degree of the ansatz
    homogeneous : whether only monomials of exactly that degree were looked at
    laws_found : rank of the gradients of ``laws``; **proved** lower bound on the number of independent laws
    complete : True iff ``laws_found == laws_at_most``: both bounds meet, so the number of laws is **proved**
    ansatz : how the laws were found: ``"monomials"`` (all polynomials up to the degree) or ``"matrix"``
        (combinations of the model's own arrays); None if none were looked for, as there are none
    laws : the laws as SymPy expressions in the model's own names
    polynomial_laws : those that are polynomials (in the state, and where needed the logarithms of its
        entries)
    rational_laws : those that are quotients, independent of the polynomial ones
    lower_split : where the gradients of the laws of the matrix ansatz were counted in subnetworks: in which
    analyzed : the flow that was looked at, maybe in pieces of the arrays
    given : the flow that was asked about
    """

    degree: Degree
    homogeneous: bool
    laws_found: int
    complete: bool
    ansatz: str | None
    polynomial_laws: PolynomialLaws | MatrixLaws | RecordedLaws
    rational_laws: RationalLaws | None
    lower_split: Split | None
    analyzed: Flow | None
    given: Flow | None

    @property
    def proved(self) -> Mapping[str, Any]:
        """Both bounds; where they meet, the number of laws."""
        exactly = {"laws_exactly": self.laws_found} if self.complete else {}
        bounds = {"laws_at_most": self.laws_at_most, "laws_found": self.laws_found, "complete": self.complete}
        return {"lie_ranks": self.lie_ranks, **bounds, **exactly}

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
        laws, bound = self.polynomial_laws, self.bound
        if (
            self.analyzed is None
            or not isinstance(bound, LieRanks | Coloured)
            or isinstance(laws, RecordedLaws)
        ):
            raise ConslawError("an answer that was read back has no certificate: analyze the flow again")
        return certificate(
            self.analyzed,
            upper=bound,
            laws=laws,
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
    def _families(self) -> tuple[Sequence[LawFamily], list[int]]:
        if isinstance(self.polynomial_laws, MatrixLaws):
            return list(self.polynomial_laws.families), []
        if isinstance(self.polynomial_laws, RecordedLaws):
            return list(self.polynomial_laws.families), list(self.polynomial_laws.left)
        assert self.analyzed is not None
        if any(c.kind == "log" for c in self.polynomial_laws.coordinates) or not len(self.polynomial_laws):
            return [], list(range(len(self.polynomial_laws)))
        return law_families(self.analyzed, self.polynomial_laws.polynomials)

    @property
    def law_families(self) -> tuple[LawFamily, ...]:
        """The laws in matrix notation, as combinations of the model's own arrays, each entry of which is a
        law.
        """
        model = self.analyzed.model if self.analyzed else None
        names = model.arguments.get("names") if model else None
        return tuple(family.in_names(names) if names else family for family in self._families[0])

    @property
    def _found(self) -> list[PolynomialLaws | MatrixLaws | RecordedLaws | RationalLaws]:
        return [self.polynomial_laws, *([self.rational_laws] if self.rational_laws else [])]

    def _looked_for(self) -> list[str]:
        """What else was looked for, for the remark on laws that were not found."""
        if isinstance(self.polynomial_laws, RecordedLaws):
            return list(self.polynomial_laws.looked_for)
        if isinstance(self.polynomial_laws, MatrixLaws):
            return []
        logs = any(c.kind == "log" for c in self.polynomial_laws.coordinates)
        degree = 0 if self.rational_laws is None else self.rational_laws.degree
        return ["with logarithms"] * logs + [f"as a quotient up to degree {degree}"] * (degree > 0)

    @property
    def _many(self) -> bool:
        """Whether there are too many laws to write them out."""
        laws = self.polynomial_laws
        if isinstance(laws, RecordedLaws):
            return laws.texts is None
        return isinstance(laws, MatrixLaws) and laws.terms > MOST_TERMS

    def _written(self) -> list[str]:
        return [law for found in self._found for law in found.strings()]

    def _latex(self) -> list[str]:
        return [law for found in self._found for law in found.latex()]

    def _summary(self, *, every: bool = False) -> display.Summary:
        counted = super()._summary()
        found = self.laws_found
        up_to = (
            f"{'of exactly' if self.homogeneous else 'up to'} degree {self.degree}"
            if self.ansatz == "monomials"
            else "of these kinds"
        )
        rows = [row for row in counted.rows if row[0] != "laws exactly"]
        network = ", of the network" if self.readings else ""
        of = f", of {self.listed:,} listed" if self.listed > found else ""
        rows.append(("laws found", f"{found:,}   proved independent{of}{network}"))
        if self.ansatz == "matrix":
            rows.append(("found by", "matrix ansatz: combinations of the arrays"))
        rows.append(("complete", f"proved{self._of_what}" if self.complete else "no: the bounds do not meet"))
        return display.Summary(counted.title, rows, remarks(self, up_to), self._sections(up_to, every=every))

    def _left(self, count: int) -> list[int]:
        """The numbers of the laws that no notation covers, of so many."""
        if isinstance(self.polynomial_laws, RecordedLaws):
            return list(self._families[1])
        quotients = len(self.rational_laws or ())
        return [*self._families[1], *range(count - quotients, count)]

    def _sections(self, up_to: str, *, every: bool) -> list[display.Section]:
        """The laws in matrix notation, and as polynomials those that are left over, or every one."""
        if not self.laws_found:
            kind = f"no polynomial laws {up_to}" if self.ansatz else "no laws were looked for"
            return [display.Section(kind if self.laws_at_most else "no laws")]
        families, sections = self.law_families, list[display.Section]()
        if families:
            latex = [family.latex_counted for family in families]
            sections = [display.Section("laws in matrix notation", [str(f) for f in families], latex)]
        if self._many:
            heading = f"as {self.laws_found:,} polynomials: one at a time: analysis.law_families[0].law(...)"
            return [*sections, display.Section(heading)]
        count = self._count()
        left = list(range(count)) if every or not families else self._left(count)
        if not left:
            return [
                *sections,
                display.Section(f"as {count:,} polynomial{'s' * (count > 1)}: analysis.laws, or --laws"),
            ]
        heading = "laws" if not families else "as polynomials" if every else "and as polynomials"
        written, latex = self._written(), self._latex()
        text, formulas = ([laws[i] for i in left] for laws in (written, latex))
        most = count if every else display.SHOWN
        return [*sections, display.Section(heading, text, formulas, shown=most)]

    def with_laws(self) -> display.Summary:
        """What there is to show, with all laws as polynomials."""
        return self._summary(every=True)

    @property
    def listed(self) -> int:
        """The number of laws that are listed or could be: some may be functions of others."""
        return self.laws_found if self._many else self._count()

    def _count(self) -> int:
        """The number of laws that are written out."""
        laws = self.polynomial_laws
        if isinstance(laws, RecordedLaws):
            return len(laws.texts or [])
        written = sum(f.entries for f in laws.families) if isinstance(laws, MatrixLaws) else len(laws)
        return written + len(self.rational_laws or ())

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the attributes.

        The laws are strings that :func:`conslaw.parse_law` reads, None if they are too many.
        """
        degree = (
            self.degree if isinstance(self.degree, int) else {str(k): int(v) for k, v in self.degree.items()}
        )
        laws = None if self._many else self._written()
        known = super().to_json()
        seconds = known.pop("seconds")
        return {
            **known,
            **display.stamp("analysis", ANALYSIS_VERSION),
            "degree": degree,
            "homogeneous": self.homogeneous,
            "laws_found": self.laws_found,
            "complete": self.complete,
            "ansatz": self.ansatz,
            "laws": laws,
            "law_families": [family.to_json() for family in self.law_families],
            "laws_beside_families": [] if laws is None else self._left(len(laws)),
            "looked_for": self._looked_for(),
            "state": self.space.to_json(),
            "seconds": seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """An analysis from its JSON; it shows what it showed and evaluates laws, but has no certificate."""
        display.check_stamp(data, "analysis", ANALYSIS_VERSION)
        space = StateSpace.from_json(data["state"])
        families = [FoundFamily.from_json(family, space) for family in data["law_families"]]
        left, looked_for = data["laws_beside_families"], data["looked_for"]
        laws = RecordedLaws(data["laws"], families, left, looked_for, space)
        names = ("degree", "homogeneous", "laws_found", "complete", "ansatz")
        found = {name: data[name] for name in names}
        found |= {"polynomial_laws": laws, **dict.fromkeys(("rational_laws", "lower_split"))}
        found |= dict.fromkeys(("analyzed", "given"))
        return cls(**_fields_of_count(data), **found)


def _fields_of_count(data: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a count from its JSON."""
    names = [name for name in Count.__dataclass_fields__ if name not in ("bound", "route")]
    data = {"readings": [], **data}
    values = {name: tuple(data[name]) if isinstance(data[name], list) else data[name] for name in names}
    bound, route = data["split"] and RecordedSplit(data["split"]), RouteTaken.from_json(data["route"])
    return {**values, "bound": bound, "route": route}
