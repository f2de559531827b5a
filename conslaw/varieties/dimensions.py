"""The dimension of a neurovariety, proved on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.bounds import Bounds, BoundsNumbers
from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.finite_field import LIFTING_PRIME, PRIMES_DRAWN_FROM, check_prime, random_prime, rank
from conslaw.certificates import model_dimensions, neurovarieties
from conslaw.certificates.verification import Verification, verify
from conslaw.certificates.written import DIMENSION, MODEL_DIMENSION, digests, graph
from conslaw.certificates.written import FORMAT as CERTIFICATE
from conslaw.certificates.written import VERSION as CERTIFICATE_VERSION
from conslaw.errors import ConslawError, check_seed
from conslaw.flows.coordinates import entries, write
from conslaw.models.potential import Model
from conslaw.varieties.architecture import Architecture, architecture
from conslaw.varieties.fibre import Field, fibre_fields, gradient_of, gradients_mod
from conslaw.varieties.lower_bound import LowerBounds
from conslaw.varieties.steps import Step
from conslaw.varieties.upper_bound import upper_bound

VERSION = 1
LARGEST = 4000  # parameters of a model of the user's own, or of a network that no colouring settles
TEXT_FROM = 2**63  # integers that are text in JSON, since tables have no room for them


@dataclass(frozen=True, repr=False)
class Dimension(display.Shown):
    """The dimension of the set of functions that a model can represent (its Zariski closure, over C).

    Attributes
    ----------
    model : str
    parameters : number of scalar parameters
    ambient_dimension : number of coefficients of the outputs (None for a model of the user's own)
    naive_dimension : parameters without one scale for each hidden unit (for a model of the user's own: all)
    expected_dimension : the smaller of the two
    dimension : **proved** lower bound, by a rank mod p
    upper_bound : **proved** upper bound, by rules
    exact : whether they meet: then the dimension is **proved**
    reasons : the rules that give the upper bound, in words
    defect : ``expected_dimension - dimension``
    filling : whether the model can represent everything, up to closure
    fibre_dimension : ``parameters - dimension``
    finitely_identifiable : whether the scales of hidden units are all that leaves the functions unchanged,
        up to finitely many choices: ``dimension == naive_dimension``
    error_probability : 0 if exact; else a bound on the probability that the dimension is larger than the
        lower bound (None with a given prime, or if no rank of the whole was taken)
    prime, seed : what reproduces the run
    """

    model: str
    parameters: int
    ambient_dimension: int | None
    naive_dimension: int
    expected_dimension: int
    dimension: int
    upper_bound: int
    exact: bool
    reasons: tuple[str, ...] = field(repr=False)
    defect: int
    filling: bool
    fibre_dimension: int
    finitely_identifiable: bool
    error_probability: float | None
    prime: int
    seed: int
    _proof: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def about(self) -> str:
        """What the answer is about."""
        return f"{self.model}: the Zariski closure of the functions that it represents"

    @property
    def proved(self) -> Mapping[str, Any]:
        """The bounds, and what follows from them if they meet."""
        bounds = {"dimension_at_least": self.dimension, "upper_bound": self.upper_bound}
        return bounds | (self._found() if self.exact else {})

    @property
    def probable(self) -> Mapping[str, Any]:
        """What follows if the lower bound is the dimension, where that is not proved."""
        if self.exact or self.error_probability is None:
            return {}
        return {**self._found(), "error_probability": self.error_probability}

    def _found(self) -> dict[str, Any]:
        names = ("dimension", "defect", "filling", "fibre_dimension", "finitely_identifiable")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; integers from 2**63 on are text."""
        names = [name for name in type(self).__dataclass_fields__ if name != "_proof"]
        values = {name: getattr(self, name) for name in names}
        written = {
            name: str(x) if type(x) is int and x >= TEXT_FROM else list(x) if isinstance(x, tuple) else x
            for name, x in values.items()
        }
        return {**display.stamp("dimension", VERSION), **written}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A dimension from its JSON."""
        display.check_stamp(data, "dimension", VERSION)
        values = {name: data[name] for name in cls.__dataclass_fields__ if name != "_proof"}
        numbers = ("parameters", "ambient_dimension", "naive_dimension", "expected_dimension", "dimension")
        for name in (*numbers, "upper_bound", "defect", "fibre_dimension"):
            values[name] = int(values[name]) if values[name] is not None else None
        return cls(**{**values, "reasons": tuple(values["reasons"])})

    def certificate(self) -> dict[str, Any]:
        """What is needed to check both bounds again, as JSON (``conslaw verify FILE``).

        Raises
        ------
        ConslawError
            For an answer that was read back.
        """
        if self._proof is None:
            raise ConslawError(
                f"{self.model}: an answer that was read back has no certificate; find it again"
            )
        made = {
            "format": CERTIFICATE,
            "version": CERTIFICATE_VERSION,
            "made_by": display.stamp("", 0)["made_by"],
        }
        whole = {**made, **self._proof}
        return {**whole, "digests": digests(whole)}

    def verify(self, *, budget: float = 1.0) -> Verification:
        """Check the certificate, with other code (see :func:`conslaw.verify`)."""
        return verify(self.certificate(), budget=budget)

    def _summary(self) -> display.Summary:
        how = "proved" if self.exact else "proved lower bound"
        rows = [("parameters", f"{self.parameters:,}")]
        if self.ambient_dimension is not None:
            rows.append(("ambient dimension", _number(self.ambient_dimension)))
        rows += [
            ("expected dimension", _number(self.expected_dimension)),
            ("dimension", f"{self.dimension:,}   {how}"),
            ("upper bound", f"{self.upper_bound:,}   proved"),
        ]
        if not self.exact and self.error_probability is not None:
            rows.append(("dimension", f"{self.dimension:,}   {display.unless(self.error_probability)}"))
        status = "" if self.exact else "   if the lower bound is the dimension"
        rows += [
            ("defect", f"{self.defect:,}{status}"),
            ("filling", f"{'yes' if self.filling else 'no'}{status}"),
            ("fibre dimension", f"{self.fibre_dimension:,}{status}"),
            ("finitely identifiable", f"{'yes' if self.finitely_identifiable else 'no'}{status}"),
        ]
        return display.Summary(self.model, rows, (), [display.Section("upper bound", self.reasons, [])])


def _number(n: int) -> str:
    return f"{n:,}" if n < 10**30 else f"about 10^{len(str(n)) - 1}" if n < 10**4000 else "more than 10^4000"


def dimension(model: Model, *, seed: int = 0, prime: int | None = None) -> Dimension:
    """The dimension of the set of functions that a polynomial model can represent.

    Below stands a rank mod p (exact, at one point; a proof whatever the prime), at size a sum of small ranks
    over colours of neurons; above a recursion over the widths whose rules are theorems.  Where both meet the
    dimension is proved; a defect is never called proved from a rank alone.  For a model of the user's own
    the bound from above are exact polynomial fields of degree at most 2 that leave its functions unchanged.

    Parameters
    ----------
    model : Model
        A network of the family ``polynomial``, or any model.
    seed : int
        Draws the prime and the point.
    prime : int, optional
        A prime between 2**20 and 2**31, larger than the powers; random by default.

    Returns
    -------
    Dimension

    Raises
    ------
    ConslawError
        If it is not a model, the prime is none or not larger than a power, or the model too large.

    Examples
    --------
    >>> import conslaw
    >>> from conslaw import varieties
    >>> found = varieties.dimension(conslaw.networks.polynomial([2, 3, 7, 1], power=5))
    >>> found.expected_dimension, found.dimension, found.exact
    (24, 23, True)
    >>> found.reasons[0]
    '2-3-7-1: at most 23 (the 3 units of layer 1 lie on a hypersurface over layer 0)'

    References
    ----------
    Kileel, Trager, Bruna, arXiv 1905.12207; Kubjas, Li, Wiesmann, arXiv 2402.00949; Alexander, Hirschowitz,
    *Polynomial interpolation in several variables*, 1995.
    """
    if not isinstance(model, Model):
        raise ConslawError(
            f"dimension of {str(model)[:60]!r}: give a model that is polynomial in its data, made with "
            f"conslaw.model or conslaw.networks.polynomial"
        )
    rng = np.random.default_rng(check_seed(seed))
    p = random_prime(rng) if prime is None else check_prime(prime)
    network = architecture(model)
    if network is None:
        return _of_model(model, p, seed, prime is None)
    if max(network.powers, default=1) >= p:
        raise ConslawError(
            f"prime={p}: not larger than the power {max(network.powers)}; choose a larger prime"
        )
    key = f"dimension {seed}"
    try:
        reason, below = upper_bound(network), LowerBounds(key, p).of(network)
    except RecursionError:  # a recursion over the layers
        raise ConslawError(
            f"dimension of a polynomial network of {network.depth:,} layers: more than there is room for; "
            f"give fewer widths"
        ) from None
    lower, exact = below.bound, below.bound == reason.bound
    error = 0.0 if exact else _error(model, lower, p) if prime is None and below.rule == "rank" else None
    return Dimension(
        model=f"polynomial {network}",
        parameters=network.parameters,
        ambient_dimension=network.ambient,
        naive_dimension=network.naive,
        expected_dimension=min(network.naive, network.ambient),
        dimension=lower,
        upper_bound=reason.bound,
        exact=exact,
        reasons=tuple(reason.steps()),
        defect=min(network.naive, network.ambient) - lower,
        filling=lower == network.ambient,
        fibre_dimension=network.parameters - lower,
        finitely_identifiable=lower == network.naive,
        error_probability=error,
        prime=p,
        seed=seed,
        _proof=_of_steps(network, below, reason, p, key),
    )


def _of_model(model: Model, p: int, seed: int, random: bool) -> Dimension:
    """The dimension for a model of the user's own."""
    if model.size > LARGEST:
        raise ConslawError(
            f"model {model.name!r} has {model.size:,} parameters: more than {LARGEST:,}; make it smaller"
        )
    key = f"dimension {seed}"
    lower = rank(gradients_mod(model, model.size, key, p)[1], p)
    fields, degree = (list[Field](), 0) if lower == model.size else fibre_fields(model, key)
    fibre = len(fields)
    upper = model.size - fibre
    reason = f"{model.size} parameters"
    if fibre:
        reason += f" less {fibre}: exact fields of degree at most {degree} that leave the functions unchanged"
    return Dimension(
        model=model.name,
        parameters=model.size,
        ambient_dimension=None,
        naive_dimension=model.size,
        expected_dimension=model.size,
        dimension=lower,
        upper_bound=upper,
        exact=lower == upper,
        reasons=(reason,),
        defect=model.size - lower,
        filling=False,
        fibre_dimension=model.size - lower,
        finitely_identifiable=lower == model.size,
        error_probability=0.0 if lower == upper else _error(model, lower, p) if random else None,
        prime=p,
        seed=seed,
        _proof=_of_fields(model, fields, lower, p, key),
    )


def _of_steps(network: Architecture, below: Step, above: Step, p: int, key: str) -> dict[str, Any]:
    """What proves the bounds of a network, for its certificate."""
    said = {"widths": list(network.widths), "powers": list(network.powers), "bias": network.bias}
    bounds = {"lower": str(below.bound), "upper": str(above.bound)}
    return {
        "kind": DIMENSION,
        "claim": neurovarieties.claim(said, bounds),
        "network": said,
        "bounds": bounds,
        "upper": above.to_json(),
        "lower": {"prime": p, "key": key, "steps": below.to_json()},
    }


def _of_fields(model: Model, fields: list[Field], lower: int, p: int, key: str) -> dict[str, Any]:
    """The same for a model of the user's own."""
    names = entries(model.parameters)
    shapes = {
        kind: {name: list(shape) for name, shape in named.items()}
        for kind, named in (("parameters", model.parameters), ("data", model.data))
    }
    said = {"name": model.name, **shapes, "graph": graph(model.potential)}
    bounds = {"lower": lower, "upper": model.size - len(fields)}
    written = [{names[i - 1].text(1): write(terms, names) for i, terms in one.items()} for one in fields]
    return {
        "kind": MODEL_DIMENSION,
        "claim": model_dimensions.claim(said, bounds),
        "model": said,
        "bounds": bounds,
        "upper": {"fields": written, "prime": LIFTING_PRIME, "key": f"{key}/fields"},
        "lower": {"prime": p, "key": key},
    }


def _error(model: Model, found: int, p: int) -> float:
    """Bound on the probability that the generic rank over Q is larger than the rank found.

    (1) The prime divides a nonzero coefficient, at most r! H**r, of an r-minor: fewer than log2 of that / 30
    of the primes between 2**30 and 2**31 do.  (2) The minor, of degree r times that of a gradient in weights
    and data, vanishes at the random point (Schwartz, Zippel).
    """
    shapes = {**model.parameters, **model.data}
    inputs = {name: Bounds(shape, 1, 0.0) for name, shape in shapes.items()}
    entries = evaluate(gradient_of(model)[1], inputs, BoundsNumbers())
    degree, height = max(e.degree for e in entries), max(e.height for e in entries)
    r = min(found + 1, model.size)
    return float(min(1.0, r * degree / p + r * (log2(r + 1) + height) / 30 / PRIMES_DRAWN_FROM))
