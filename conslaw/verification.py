"""Verification of certificates, by other code than that which made them.

Polynomials are dictionaries of exact coefficients here, vector fields are derived from the potential again, Lie brackets are taken
symbolically (mod the prime of the certificate) and evaluated at its point, ranks are FLINT's.  Only where symbolic brackets would
be too large are the jets of the search used, and the report says so.  Shared with the search are the definitions: what a family
is, what array code means, and which axes belong together; the last is checked on small networks that are written out.
Nothing in a certificate is executed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, reduce
from importlib.resources import files
from itertools import combinations_with_replacement, product
from math import comb, prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.certificates import FORMAT, claim, digests
from conslaw.errors import ConslawError
from conslaw.expressions import Expression, NumPyNumbers, evaluate, exact_rational, input_array, topological_order
from conslaw.flows import TIME, Flow, gradient_flow, momentum_flow, velocity
from conslaw.index_classes import RIGID, IndexClasses, velocities
from conslaw.models import Model, model
from conslaw.networks import FAMILIES

LARGEST_FILE = 2**28  # bytes
LARGEST_DEGREE = 2000
LARGEST_STATE = 20_000  # coordinates of a state whose polynomials are written out
LARGEST_CONSTANT = 50_000_000  # entries of a constant
LARGEST_SMALL = 4_000  # coordinates and data of a subnetwork that is written out
MOST_PRODUCTS = 20_000_000  # products of terms in all polynomials of one verification
SURPLUS = 4  # samples beyond those that a rank needs
SYMBOLIC = (0, 10**6, 10**6, 3000, 500, 120)  # terms of the fields up to which brackets of 1, 2, ... fields are taken symbolically


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what, whether it holds, and what was found."""

    what: str
    ok: bool
    found: str

    def __str__(self) -> str:
        return f"  {'ok  ' if self.ok else 'FAIL'} {self.what}: {self.found}"


@dataclass(frozen=True)
class Verification:
    """The result of :func:`verify`: ``ok`` if every check holds; printing it shows them all."""

    claim: str
    checks: Sequence[Check] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the certificate is valid."""
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        verdict = "verified" if self.ok else "NOT verified"
        return "\n".join([f"{verdict}: {self.claim}", *map(str, self.checks)])

    __repr__ = __str__


class Refuted(Exception):  # noqa: N818
    """A check that does not hold; the text says what was found."""


def verify(source: str | Path | Mapping[str, Any]) -> Verification:
    """Check a certificate: both bounds again, with other code than that which found them.

    Parameters
    ----------
    source : path of a JSON file, or the certificate itself

    Returns
    -------
    Verification
        One check a line; ``ok`` if all hold.

    Raises
    ------
    ConslawError
        If the source is no certificate at all (unreadable, not JSON, not of the format).
    """
    whole = _read(source)
    problem = _against_schema(whole, _schema(), "certificate")
    if problem:
        raise ConslawError(f"not a {FORMAT} of version 1: {problem}")
    checks = list[Check]()

    def check(what: str, run: Callable[[], str]) -> bool:
        try:
            checks.append(Check(what, True, run()))
        except Refuted as error:
            checks.append(Check(what, False, str(error)))
        except (
            ConslawError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AssertionError,
            RecursionError,
            MemoryError,
        ) as error:
            checks.append(Check(what, False, f"cannot be checked: {type(error).__name__}: {error}"[:300]))
        return checks[-1].ok

    subject = _Subject(whole)
    check("unchanged", lambda: _unchanged(whole))
    if check("model", subject.build) and check("flow", subject.derive):
        upper = _upper_by_subnetworks if whole["upper"]["method"] == "subnetworks" else _upper_by_brackets
        lower = _lower_by_families if whole["lower"]["method"] == "families" else _lower_by_polynomials
        bounds: dict[str, int] = {}
        check("at most", lambda: upper(whole, subject, bounds))
        check("at least", lambda: lower(whole, subject, bounds))
        check("conclusion", lambda: _conclusion(whole, subject, bounds))
    return Verification(whole["claim"], checks)


# reading


def _read(source: str | Path | Mapping[str, Any]) -> Any:
    if not isinstance(source, str | Path | Mapping):
        raise ConslawError(f"verify({source!r}): give the path of a certificate, or the certificate")
    try:
        if isinstance(source, Mapping):
            return json.loads(json.dumps(source))
        path = Path(source)
        if path.exists() and not path.is_file():
            raise ConslawError(f"{source}: not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise ConslawError(f"{source}: larger than {LARGEST_FILE:,} bytes")
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repetition)
    except OSError as error:
        raise ConslawError(f"{source}: {error.strerror or error}") from None
    except (ValueError, RecursionError, TypeError) as error:
        raise ConslawError(f"{source if not isinstance(source, Mapping) else 'the certificate'}: not JSON: {error}"[:300]) from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return dict(pairs)


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("conslaw").joinpath("certificate.schema.json").read_text(encoding="utf-8"))
    return schema


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def _against_schema(value: Any, schema: Mapping[str, Any], where: str) -> str:
    """The first thing that is not as the schema says (the part of JSON Schema that ours uses); empty if all is well."""
    if "$ref" in schema:
        return _against_schema(value, _schema()["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if "anyOf" in schema:
        problems = [_against_schema(value, one, where) for one in schema["anyOf"]]
        return "" if "" in problems else problems[-1]
    shown = repr(value)[:60]
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        return f"{where} is {shown}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is {shown}, not one of {schema['enum']}"
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool))):
        return f"{where} is {shown}, not of type {wanted}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{where} is {shown}, less than {schema['minimum']}"
    if isinstance(value, dict):
        missing = [name for name in schema.get("required", []) if name not in value]
        if missing:
            return f"{where} has no {missing[0]!r}"
        for name, one in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                return f"{where} has an unknown {name!r}"
            problem = _against_schema(one, inner, f"{where}.{name}")
            if problem:
                return problem
    if isinstance(value, list) and "items" in schema:
        for i, one in enumerate(value):
            problem = _against_schema(one, schema["items"], f"{where}[{i}]")
            if problem:
                return problem
    return ""


def _unchanged(whole: Mapping[str, Any]) -> str:
    changed = [name for name, digest in digests(whole).items() if whole["digests"].get(name) != digest]
    if changed:
        raise Refuted(f"the section {', '.join(map(repr, changed))} was changed after the certificate was made")
    return "every section has the digest that it was made with"


# polynomials


class Polynomial:
    """A polynomial over Q: ``terms`` from monomials (sorted variable numbers, repeated for powers) to coefficients."""

    __slots__ = ("terms",)

    def __init__(self, terms: dict[tuple[int, ...], Any]) -> None:
        self.terms = terms

    @staticmethod
    def variable(number: int) -> Polynomial:
        return Polynomial({(number,): 1})

    @staticmethod
    def constant(value: Any) -> Polynomial:
        return Polynomial({(): value} if value else {})

    def __add__(self, other: Any) -> Polynomial:
        if not isinstance(other, Polynomial):
            other = Polynomial.constant(other)
        large, small = (self, other) if len(self.terms) >= len(other.terms) else (other, self)
        result = dict(large.terms)
        for monomial, c in small.terms.items():
            total = result.get(monomial, 0) + c
            if total:
                result[monomial] = total
            else:
                del result[monomial]
        return Polynomial(result)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Polynomial:
        if not isinstance(other, Polynomial):
            other = Polynomial.constant(other)
        result: dict[tuple[int, ...], Any] = {}
        if len(self.terms) * len(other.terms) > MOST_PRODUCTS:
            raise ConslawError(f"a product of polynomials of {len(self.terms):,} and {len(other.terms):,} terms")
        for (m, c), (k, d) in product(self.terms.items(), other.terms.items()):
            if len(m) + len(k) > LARGEST_DEGREE:
                raise ConslawError(f"a polynomial of degree more than {LARGEST_DEGREE}")
            monomial = tuple(sorted(m + k))
            result[monomial] = result.get(monomial, 0) + c * d
        return Polynomial({m: c for m, c in result.items() if c})

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Polynomial:
        if not 0 <= exponent <= LARGEST_DEGREE:
            raise ConslawError(f"a power {exponent} of a polynomial")
        return reduce(lambda x, y: x * y, [self] * exponent, Polynomial.constant(1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    __hash__ = None  # type: ignore[assignment]

    def slopes(self) -> dict[int, Polynomial]:
        """The partial derivatives that are not zero."""
        result: dict[int, dict[tuple[int, ...], Any]] = {}
        for monomial, c in self.terms.items():
            for v in dict.fromkeys(monomial):
                position = monomial.index(v)
                lower = monomial[:position] + monomial[position + 1 :]
                mine = result.setdefault(v, {})
                mine[lower] = mine.get(lower, 0) + c * monomial.count(v)
        return {v: Polynomial(terms) for v, terms in result.items()}

    def at(self, values: Sequence[int], p: int) -> int:
        """Its value mod p."""
        total = 0
        for monomial, c in self.terms.items():
            value = _mod(c, p)
            for v in monomial:
                value = value * values[v] % p
            total += value
        return total % p


VectorField = dict[int, Polynomial]  # from coordinate to component


def _mod(value: Any, p: int) -> int:
    return int(value.numerator) * pow(int(value.denominator), -1, p) % p


NAME = r"[^\W\d]\w*(?:\[[0-9,]+\])?"
TOKEN = re.compile(rf"\s*(?:(\*\*)|([-+*/])|([0-9]+)|(log\({NAME}\)|{NAME}))")


def _parse(text: str, names: Mapping[str, int]) -> Polynomial:
    """A sum of products of numbers, names and their powers."""
    tokens, position, text = list[tuple[str, str]](), 0, text.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if not found:
            raise Refuted(f"{text[position : position + 40]!r} is not part of a polynomial")
        position = found.end()
        tokens.append((("power", "sign", "number", "name")[(found.lastindex or 1) - 1], str(found[found.lastindex or 1])))
    terms: dict[tuple[int, ...], Fraction] = {}
    sign, coefficient, monomial, expect, divide = 1, Fraction(1), list[int](), True, False
    tokens.append(("sign", "+"))
    i, empty = 0, True
    while i < len(tokens):
        kind, token = tokens[i]
        if kind == "sign" and token in "+-" and (not expect or empty):
            if not empty:
                key = tuple(sorted(monomial))
                terms[key] = terms.get(key, Fraction(0)) + sign * coefficient
            sign, coefficient, monomial, expect, empty = (1 if token == "+" else -1), Fraction(1), [], True, True
        elif kind == "sign" and token in "*/" and not expect:
            expect, divide = True, token == "/"
        elif kind == "number" and expect:
            coefficient = coefficient / int(token) if divide else coefficient * int(token)
            expect, divide, empty = False, False, False
        elif kind == "name" and expect and not divide:
            if token not in names:
                raise Refuted(f"there is no coordinate {token}")
            power = 1
            if i + 2 < len(tokens) and tokens[i + 1][0] == "power" and tokens[i + 2][0] == "number":
                power, i = int(tokens[i + 2][1]), i + 2
            if len(monomial) + power > LARGEST_DEGREE:
                raise Refuted(f"the degree of {text[:40]!r} is more than {LARGEST_DEGREE}")
            monomial += [names[token]] * power
            expect, empty = False, False
        else:
            raise Refuted(f"{text[:60]!r} is not a polynomial: unexpected {token!r}")
        i += 1
    return Polynomial({m: (int(c) if c.denominator == 1 else c) for m, c in terms.items() if c})


def _names(arrays: Mapping[str, Sequence[int]]) -> list[str]:
    """The coordinates of some arrays, in order."""
    return [
        f"{name}[{','.join(map(str, index))}]" if shape else name for name, shape in arrays.items() for index in np.ndindex(*shape)
    ]


def _variables(arrays: Mapping[str, Sequence[int]], numbers: Mapping[str, int]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of variables."""
    result = {}
    for name, shape in arrays.items():
        array = np.empty(tuple(shape), dtype=object)
        flat = [Polynomial.variable(numbers[text]) for text in _names({name: shape})]
        array.reshape(-1)[:] = flat
        result[name] = array
    return result


def _expanded(potential: Expression, arrays: Mapping[str, Sequence[int]], numbers: Mapping[str, int]) -> Polynomial:
    [value] = evaluate([potential], _variables(arrays, numbers), NumPyNumbers(convert=Polynomial.constant))
    result = value.item() if value.size else Polynomial({})
    return result if isinstance(result, Polynomial) else Polynomial.constant(result)


# the subject: model and flow


class _Subject:
    """The model and the flow of a certificate, built again."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.model_section, self.flow_section = whole["model"], whole["flow"]
        self.state = {name: tuple(shape) for name, shape in self.flow_section["state"].items()}
        self.data = {name: tuple(shape) for name, shape in self.flow_section["data"].items()}
        self.model: Model | None = None
        self.flow: Flow | None = None
        self.fields: list[VectorField] | None = None

    @property
    def dimension(self) -> int:
        return sum(prod(shape) for shape in self.state.values())

    def numbers(self) -> dict[str, int]:
        """The number of each state coordinate, then of each datum."""
        return {name: i for i, name in enumerate([*_names(self.state), *_names(self.data)])}

    def build(self) -> str:
        names = [*self.state, *self.data]
        if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
            raise Refuted(f"the arrays {names} need names of their own, which are identifiers")
        section = self.model_section
        if section is None:
            return "vector fields as they stand in the certificate"
        shapes = {kind: {n: tuple(s) for n, s in section[kind].items()} for kind in ("parameters", "data")}
        family = section["family"]
        if family is not None:
            made = _family_model(family["name"], family["arguments"])
            if dict(made.parameters) != shapes["parameters"] or dict(made.data) != shapes["data"] or made.name != section["name"]:
                raise Refuted(f"{family['name']} {family['arguments']} has other arrays than the certificate says")
            self.model = made
        elif section["potential"]["graph"] is not None:
            self.model = _from_graph(section["name"], shapes, section["potential"]["graph"])
        else:
            raise Refuted("neither a family nor a graph")
        text = section["potential"]["polynomial"]
        if text is None:
            return f"{section['name']}, from its {'family and sizes' if family else 'array code as data'}"
        if sum(prod(s) for named in shapes.values() for s in named.values()) > LARGEST_STATE:
            raise Refuted("too large to be written out")
        arrays = {**shapes["parameters"], **shapes["data"]}
        numbers = {name: i for i, name in enumerate(_names(arrays))}
        if _parse(text, numbers) != _expanded(self.model.potential, arrays, numbers):
            raise Refuted(f"the potential is not that of {section['name']}" + (f" {family['arguments']}" if family else ""))
        return f"{section['name']}: the potential, expanded again, is the one in the certificate"

    def derive(self) -> str:
        section = self.flow_section
        if (section["fields"] is None) == (section["metric"] is None):
            raise Refuted("a flow has either a metric in words or vector fields written out")
        if section["damping"] is not None and section["kind"] != "momentum":
            raise Refuted(f"a {section['kind']} flow has no damping")
        how = {"metric": section["metric"]}
        if any(
            re.fullmatch(r"euclidean|z\*\*[0-9]{1,2}|[0-9]+(/[0-9]+)?", word) is None for word in (section["metric"] or {}).values()
        ):
            raise Refuted(f"the metric {section['metric']} is not in words: euclidean, z**k with k >= 0, or a rational number")
        if self.model is not None and section["fields"] is None:
            make = {"gradient": gradient_flow, "momentum": momentum_flow}.get(section["kind"])
            if make is None:
                raise Refuted(f"a flow of the kind {section['kind']!r} has no fields in the certificate")
            damping = {"damping": section["damping"]} if section["kind"] == "momentum" else {}
            self.flow = make(self.model, weight_decay=section["weight_decay"], **how, **damping)
            time = self.flow.time and {"kind": self.flow.time.kind, "rate": str(self.flow.time.rate)}
            if dict(self.flow.state) != self.state or dict(self.flow.data) != self.data or time != section["time"]:
                raise Refuted("the state or the time of the certificate are not those of this flow")
            return f"{section['kind']} flow of this model"
        if section["fields"] is None:
            raise Refuted("there are no vector fields")
        if (self.model is None) != (section["kind"] == "given"):
            raise Refuted(f"the kind of a flow {'without' if self.model is None else 'of'} a model is not {section['kind']!r}")
        if self.dimension > LARGEST_STATE:
            raise Refuted(f"{self.dimension:,} coordinates are too many to write the fields out")
        numbers = self.numbers()
        n = self.dimension
        self.fields = [{numbers[c]: _parse(text, numbers) for c, text in one.items()} for one in section["fields"]]
        if any(i >= n for one in self.fields for i in one):
            raise Refuted("a field moves the data")
        return "the vector fields as they stand in the certificate: they are what is proved about"

    def exact(self) -> list[VectorField]:
        """The vector fields as polynomials; of a family's flow, derived from the potential here."""
        if self.fields is None:
            if self.dimension > LARGEST_STATE:
                raise Refuted(f"{self.dimension:,} coordinates are too many to write the fields out")
            assert self.model is not None
            numbers = self.numbers()
            parameters = {name: tuple(s) for name, s in self.model.parameters.items()}
            potential = _expanded(self.model.potential, {**parameters, **self.data}, numbers)
            self.fields = _fields(potential, parameters, numbers, self.flow_section)
        return self.fields


def _family_model(name: str, arguments: Mapping[str, Any]) -> Model:
    family, widths = FAMILIES.get(name), arguments.get("widths")
    if family is None or not isinstance(widths, list) or not all(isinstance(n, int) for n in widths):
        raise Refuted(f"there is no family {name!r} with arguments {dict(arguments)}")
    return family(widths, bool(arguments.get("bias", False)))


def _from_graph(name: str, shapes: Mapping[str, Mapping[str, tuple[int, ...]]], nodes: Sequence[Mapping[str, Any]]) -> Model:
    """The model of array code that is given as data."""
    made = list[Expression]()
    inputs = {n: input_array(n, s) for named in shapes.values() for n, s in named.items()}
    for i, node in enumerate(nodes):
        operation, shape, attribute = node["operation"], tuple(node["shape"]), node["attribute"]
        if any(not 0 <= k < i for k in node["arguments"]):
            raise Refuted(f"node {i} of the graph uses a node that does not come before it")
        arguments = tuple(made[k] for k in node["arguments"])
        if operation == "input":
            made.append(inputs[attribute])
        elif operation == "constant":
            if prod(shape) > LARGEST_CONSTANT:
                raise Refuted(f"node {i} of the graph is a constant of shape {shape}")
            values, exact = np.empty(shape, dtype=object), [exact_rational(v) for v in attribute]
            values.reshape(-1)[:] = exact * values.size if len(exact) == 1 else exact
            made.append(Expression(operation, (), values, shape))
        elif operation == "take":
            made.append(Expression(operation, arguments, np.array(attribute, dtype=np.intp).reshape(shape), shape))
        elif operation == "put":
            made.append(Expression(operation, arguments, np.array(attribute, dtype=np.intp).reshape(arguments[0].shape), shape))
        else:
            made.append(Expression(operation, arguments, tuple(attribute) if isinstance(attribute, list) else None, shape))
        if made[-1].shape != shape or _shape_of(made[-1]) != shape:
            raise Refuted(f"node {i} of the graph has not the shape {shape}")
    return model(lambda p, c: _with_inputs(made[-1], p, c), parameters=shapes["parameters"], data=shapes["data"], name=name)


def _shape_of(node: Expression) -> tuple[int, ...]:
    """The shape that a node has by its operation."""
    if node.operation == "product":
        a, b, out = node.attribute
        x, y = node.args
        sizes = dict(zip(a, x.shape, strict=True))
        for letter, n in zip(b, y.shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                raise Refuted(f"a product of shapes {x.shape} and {y.shape} by {a},{b}->{out}")
        return tuple(sizes[letter] for letter in out)
    if node.operation == "add" and node.args[0].shape != node.args[1].shape:
        raise Refuted(f"a sum of shapes {node.args[0].shape} and {node.args[1].shape}")
    if node.operation == "sum":
        return tuple(n for i, n in enumerate(node.args[0].shape) if i not in node.attribute)
    if node.operation == "reshape" and prod(node.shape) != prod(node.args[0].shape):
        raise Refuted(f"a reshape of {node.args[0].shape} to {node.shape}")
    if node.operation in ("take", "put") and node.attribute.size:
        size = prod(node.args[0].shape if node.operation == "take" else node.shape)
        if not 0 <= node.attribute.min() <= node.attribute.max() < size:
            raise Refuted("an index outside its array")
    return node.shape


def _with_inputs(output: Expression, p: Any, c: Any) -> Expression:
    """The expression on the arrays that a model is given."""
    made: dict[int, Expression] = {}
    for node in topological_order([output]):
        if node.operation == "input":
            made[id(node)] = (p if node.attribute in p else c)[node.attribute]
        else:
            made[id(node)] = Expression(node.operation, tuple(made[id(x)] for x in node.args), node.attribute, node.shape)
    return made[id(output)]


def _fields(
    potential: Polynomial, parameters: Mapping[str, Sequence[int]], numbers: Mapping[str, int], flow: Mapping[str, Any]
) -> list[VectorField]:
    """The fields of a flow from its potential, straight from the definition: the drift, if there is one, and the control."""
    slopes, words, decay = potential.slopes(), flow["metric"], Fraction(flow["weight_decay"])
    theta = {text: name for name, shape in parameters.items() for text in _names({name: shape})}
    constant = Polynomial.constant

    def variable(text: str) -> Polynomial:
        return Polynomial.variable(numbers[text])

    exponents = {name: int(word[3:]) for name, word in words.items() if word.startswith("z**")}
    scales = {name: Fraction(word) for name, word in words.items() if word != "euclidean" and name not in exponents}
    control: VectorField = {}
    if flow["kind"] == "gradient":
        for text, name in theta.items():
            slope = slopes.get(numbers[text], Polynomial({}))
            control[numbers[text]] = slope * scales.get(name, 1) * variable(text) ** exponents.get(name, 0)
        if not decay:
            return [control]
        drift = {numbers[TIME]: constant(decay) * variable(TIME)}
        return [drift | {numbers[text]: constant(-decay) * variable(text) for text in theta}, control]
    top, over_t, _ = flow["damping"].partition("/t")
    tau, s = Fraction(top), variable(TIME)
    moving = {text: text.replace(name, velocity(name), 1) for text, name in theta.items()}
    if over_t:  # t = s**q, all multiplied by q t; the control by so many powers of t as the metric has
        q, most = tau.denominator, max(exponents.values(), default=0)
        clock, speed, drag = s, s**q * q, constant(tau.numerator)
    else:
        q, most = 0, 0
        clock, speed, drag = (s * tau if tau else constant(1)), constant(1), constant(tau)
    drift = {numbers[TIME]: clock}
    for text, name in theta.items():
        dot = numbers[moving[text]]
        drift[numbers[text]] = speed * variable(moving[text])
        drift[dot] = drag * variable(moving[text]) * -1 + speed * variable(text) * -decay
        z = variable(text) * tau + s**q * variable(moving[text])
        power = exponents.get(name, 0)
        slope = slopes.get(numbers[text], Polynomial({}))
        control[dot] = slope * scales.get(name, 1) * z**power * s ** (q * (most - power))
    return [drift, control]


# brackets


class _Sampler:
    """Random elements of the span of some fields, and values of their brackets, mod p, at points of n coordinates."""

    def __init__(self, fields: Sequence[VectorField], n: int, p: int, rng: np.random.Generator) -> None:
        self.n, self.p, self.rng = n, p, rng
        self.fields = [self._flat(one) for one in fields]
        self.data = 1 + max((v for one in fields for x in one.values() for m in x.terms for v in m), default=n)

    @property
    def terms(self) -> int:
        return sum(len(component) for component, *_ in self.fields)

    def _flat(self, one: VectorField) -> tuple[npt.NDArray[Any], ...]:
        rows = [(i, _mod(c, self.p), m) for i, x in one.items() for m, c in x.terms.items()]
        degree = max((sum(v < self.n for v in m) for _, _, m in rows), default=0)
        more = max((sum(v >= self.n for v in m) for _, _, m in rows), default=0)
        state = np.full((len(rows), degree), self.n)
        data = np.full((len(rows), more), -1)
        for row, (_, _, m) in enumerate(rows):
            own, other = [v for v in m if v < self.n], [v for v in m if v >= self.n]
            state[row, : len(own)], data[row, : len(other)] = own, other
        return np.array([r[0] for r in rows], dtype=np.intp), np.array([r[1] for r in rows], dtype=np.int64), state, data

    def field(self, chosen: Sequence[int], allowed: npt.NDArray[np.bool_] | None) -> _Modular:
        """A random element of the span of the chosen fields; data that are not allowed are zero."""
        p = self.p
        values = self.rng.integers(0, p, self.data + 1)
        if allowed is not None:
            some = min(len(allowed), len(values))
            values[:some][~allowed[:some]] = 0
        values[-1] = 1
        parts = []
        for i in chosen:
            component, coefficient, state, data = self.fields[i]
            total = coefficient * int(self.rng.integers(1, p)) % p
            for column in data.T:
                total = total * values[column] % p
            parts.append((component, total, state))
        width = max(state.shape[1] for _, _, state in parts)
        padded = [np.pad(state, ((0, 0), (0, width - state.shape[1])), constant_values=self.n) for _, _, state in parts]
        joined = [np.concatenate(x) for x in zip(*[(a, b) for a, b, _ in parts], strict=True)]
        return _Modular(self.n, p, joined[0], joined[1], np.concatenate(padded))

    def sample(
        self, depth: int, point: npt.NDArray[np.int64], *, first: Sequence[int], allowed: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """The value at a point of a right-nested bracket of so many random fields (of ``first`` fields alone if it is one)."""
        every = range(len(self.fields))
        if depth == 1:
            return self.field(first, allowed).value(point)
        outer, *middle, inner = [self.field(every, allowed) for _ in range(depth)]
        for one in reversed(middle):
            inner = one.bracket(inner)
        forward, back = inner.along(point, outer.value(point)), outer.along(point, inner.value(point))
        return (forward - back) % self.p


@dataclass(frozen=True)
class _Modular:
    """A polynomial vector field mod p as a list of terms: component, coefficient, and a row of variables (n stands for 1)."""

    n: int
    p: int
    component: npt.NDArray[np.intp]
    coefficient: npt.NDArray[np.int64]
    state: npt.NDArray[np.intp]

    def _sum(self, terms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        low, high = (np.bincount(self.component, weights=x, minlength=self.n) for x in (terms & 0xFFFF, terms >> 16))
        return (low.astype(np.int64) + (high.astype(np.int64) % self.p << 16)) % self.p

    def value(self, point: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        values, total = np.append(point, 1), self.coefficient
        for column in self.state.T:
            total = total * values[column] % self.p
        return self._sum(total)

    def along(self, point: npt.NDArray[np.int64], direction: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The derivative of the field at a point along a vector."""
        values, slopes, result = np.append(point, 1), np.append(direction, 0), np.zeros(self.n, dtype=np.int64)
        for i in range(self.state.shape[1]):
            total = self.coefficient
            for j, column in enumerate(self.state.T):
                total = total * (slopes if i == j else values)[column] % self.p
            result = (result + self._sum(total)) % self.p
        return result

    def _terms(self) -> dict[int, dict[tuple[int, ...], int]]:
        result: dict[int, dict[tuple[int, ...], int]] = {}
        for i, c, row in zip(self.component.tolist(), self.coefficient.tolist(), self.state.tolist(), strict=True):
            if c:
                monomial, mine = tuple(sorted(v for v in row if v < self.n)), result.setdefault(i, {})
                mine[monomial] = (mine.get(monomial, 0) + c) % self.p
        return result

    def bracket(self, other: _Modular) -> _Modular:
        """[self, other] = D(other) self - D(self) other, symbolically."""
        left, right, result = self._terms(), other._terms(), dict[tuple[int, tuple[int, ...]], int]()
        for outer, inner, sign in ((right, left, 1), (left, right, -1)):
            for i, terms in outer.items():
                for monomial, c in terms.items():
                    for v in dict.fromkeys(monomial):
                        position = monomial.index(v)
                        lower, factor = monomial[:position] + monomial[position + 1 :], sign * c * monomial.count(v)
                        for other_monomial, d in inner.get(v, {}).items():
                            key = (i, tuple(sorted(lower + other_monomial)))
                            result[key] = (result.get(key, 0) + factor * d) % self.p
        kept = [(i, c, m) for (i, m), c in result.items() if c]
        state = np.full((len(kept), max((len(m) for _, _, m in kept), default=0)), self.n)
        for row, (_, _, m) in enumerate(kept):
            state[row, : len(m)] = m
        component, coefficient = np.array([k[0] for k in kept], dtype=np.intp), np.array([k[1] for k in kept], dtype=np.int64)
        return _Modular(self.n, self.p, component, coefficient, state)


def _rank(rows: Sequence[Sequence[int]], p: int) -> int:
    import flint

    if not len(rows) or not len(rows[0]):
        return 0
    return int(flint.nmod_mat(len(rows), len(rows[0]), [int(v) for row in rows for v in row], p).rank())


def _check_prime(p: int) -> None:
    import flint

    if not 2**20 <= p < 2**31 or not flint.fmpz(p).is_prime():
        raise Refuted(f"{p} is not a prime between 2**20 and 2**31")


def _increments(ranks: Sequence[int]) -> list[int]:
    if len(ranks) > 20:
        raise Refuted(f"brackets of {len(ranks)} fields")
    return [after - before for before, after in zip([0, *ranks], ranks, strict=False)]


def _symbolic(terms: int, ranks: Sequence[int]) -> bool:
    """Whether the brackets that these ranks need are small enough to be taken symbolically."""
    depth = max((d for d, more in enumerate(_increments(ranks), start=1) if more), default=1)
    return depth < len(SYMBOLIC) and terms <= SYMBOLIC[depth]


def _upper_by_brackets(whole: Mapping[str, Any], subject: _Subject, bounds: dict[str, int]) -> str:
    upper, n = whole["upper"], subject.dimension
    p, ranks = upper["prime"], upper["ranks"]
    _check_prime(p)
    point = np.array([v for name in subject.state for v in upper["point"][name]], dtype=np.int64)
    if len(point) != n or (point < 0).any() or (point >= p).any() or set(upper["point"]) != set(subject.state):
        raise Refuted(f"the point has not {n} residues mod {p}")
    if sorted(ranks) != ranks or not ranks or ranks[-1] > n:
        raise Refuted(f"the ranks {ranks} do not rise to at most {n}")
    sampler = _Sampler(subject.exact(), n, p, np.random.default_rng(1))
    symbolic = _symbolic(sampler.terms, ranks)
    rows = list[Any]()
    for depth, more in enumerate(_increments(ranks), start=1):
        count = more + SURPLUS if more else 0
        if symbolic:
            rows += [sampler.sample(depth, point, first=range(len(sampler.fields))) for _ in range(count)]
        elif count:
            rows += _by_jets(subject, upper["point"], depth, count, p)
    found = _rank(rows, p)
    if found != ranks[-1]:
        raise Refuted(f"the brackets reach rank {found} at this point, not {ranks[-1]}")
    bounds["laws_at_most"] = n - found
    how = "exact symbolic brackets" if symbolic else "jets, the method of the search, as symbolic brackets would be too large"
    return f"{n} - {found} = {n - found} laws, as brackets reach rank {found} mod {p} ({how})"


def _by_jets(subject: _Subject, point: Mapping[str, Any], depth: int, count: int, p: int) -> list[Any]:
    from conslaw.lie import trace_samples

    if subject.flow is None:
        raise Refuted("brackets of these fields are too large to be taken symbolically")
    state = {name: {0: np.array(point[name], dtype=np.uint64).reshape(1, *shape)} for name, shape in subject.state.items()}
    return list(trace_samples(subject.flow, state, depth, count, np.random.default_rng(depth), p).tolist())


# laws


def _lower_by_polynomials(whole: Mapping[str, Any], subject: _Subject, bounds: dict[str, int]) -> str:
    lower, n, fields = whole["lower"], subject.dimension, subject.exact()
    p, names = lower["prime"], lower["coordinates"]
    _check_prime(p)
    numbers = subject.numbers()
    state = list(numbers)[:n]
    data = len(numbers)
    if names[:n] != state or len(lower["point"]) != len(names):
        raise Refuted("the coordinates are not those of the state")
    variables = {**{name: i for i, name in enumerate(state)}, **{name: data + k for k, name in enumerate(names[n:])}}
    logs: dict[int, int] = {}  # from a logarithm to its coordinate
    for name, k in list(variables.items())[n:]:
        inner = re.fullmatch(r"log\((.*)\)", name)
        if inner and inner[1] in variables:
            logs[k] = variables[inner[1]]
        elif name != "unused":
            raise Refuted(f"{name} is not a coordinate")
    used = list[Polynomial]()
    gradients = list[list[int]]()
    point = [*lower["point"][:n], *[1] * (data - n), *lower["point"][n:]]
    for number, law in enumerate(lower["laws"]):
        top = _parse(law["numerator"], variables)
        bottom = _parse(law["denominator"], variables) if law["denominator"] is not None else None
        used += [top, *([bottom] if bottom else [])]
        if bottom is not None and not bottom.terms:
            raise Refuted(f"law {number + 1} has the denominator 0")
        for one in fields:
            change = _derivative(top, one, logs)
            if bottom is not None:
                change = change * bottom + top * _derivative(bottom, one, logs) * -1
            if change.terms:
                raise Refuted(f"law {number + 1}, {law['numerator'][:60]}, is not conserved")
        gradients.append(_gradient(top, bottom, point, n, logs, p))
    found = _rank(gradients, p)
    bounds["laws_found"] = found
    if found != whole["bounds"]["laws_found"]:
        raise Refuted(f"the gradients of the {len(gradients)} laws have rank {found}, not {whole['bounds']['laws_found']}")
    return f"{found} laws, as {len(gradients)} laws are identities over Q and their gradients have rank {found} mod {p}"


def _derivative(law: Polynomial, field: VectorField, logs: Mapping[int, int]) -> Polynomial:
    """The derivative of a law along a field; that of log(x) is x'/x, which must be a polynomial."""
    pieces = list[Polynomial]()
    for v, slope in law.slopes().items():
        moved = field.get(logs.get(v, v))
        if moved is None:
            continue
        if v in logs:
            if any(logs[v] not in m for m in moved.terms):
                raise Refuted("a logarithm whose velocity is not a polynomial")
            x = logs[v]
            moved = Polynomial({m[: m.index(x)] + m[m.index(x) + 1 :]: c for m, c in moved.terms.items()})
        pieces.append(slope * moved)
    return _sum(pieces)


def _sum(pieces: Sequence[Polynomial]) -> Polynomial:
    total: dict[tuple[int, ...], Any] = {}
    for x in pieces:
        for m, c in x.terms.items():
            total[m] = total.get(m, 0) + c
    return Polynomial({m: c for m, c in total.items() if c})


def _gradient(
    top: Polynomial, bottom: Polynomial | None, point: Sequence[int], n: int, logs: Mapping[int, int], p: int
) -> list[int]:
    """The gradient mod p of a law, times the square of its denominator."""

    def plain(x: Polynomial) -> list[int]:
        result = [0] * n
        for v, slope in x.slopes().items():
            value = slope.at(point, p)
            if v in logs:
                result[logs[v]] += value * pow(point[logs[v]], -1, p)
            elif v < n:
                result[v] += value
        return [value % p for value in result]

    if bottom is None:
        return plain(top)
    a, b = top.at(point, p), bottom.at(point, p)
    return [(x * b - a * y) % p for x, y in zip(plain(top), plain(bottom), strict=True)]


# subnetworks


@dataclass
class _Small:
    """Some colours of a network, written out: potential, fields, and what each coordinate has to do with each colour."""

    state: dict[str, tuple[int, ...]]
    numbers: dict[str, int]
    n: int
    fields: list[VectorField]
    potential: Polynomial
    colours: list[frozenset[int]]  # of each coordinate and datum
    flips: list[frozenset[int]]  # the colours whose sign flip flips it
    names: list[str]  # the array that it belongs to

    def allowed(self, own: frozenset[int]) -> npt.NDArray[np.bool_]:
        """The coordinates and data of some colours alone."""
        return np.array([c <= own for c in self.colours])


class _Network:
    """A large model in classes, as the certificate says, from which small ones are written out."""

    def __init__(self, whole: Mapping[str, Any], subject: _Subject, split: Mapping[str, Any]) -> None:
        if subject.flow is None or subject.model is None:
            raise Refuted("only flows of models in a metric of words are split")
        self.subject, self.split, self.family = subject, split, whole["model"]["family"]
        every = IndexClasses.of(subject.flow)
        axes = {(n, i): c for n, a in [*every.state.items(), *every.data.items()] for i, c in enumerate(a)}
        chosen = [{axes[name, i] for name, i in group} for group in split["classes"]]
        if any(len(c) != 1 or RIGID in c for c in chosen) or len(set.union(set(), *chosen)) != len(chosen):
            raise Refuted("the classes of the certificate are not those of the array code")
        self.order = [min(c) for c in chosen]
        self.classes = every.without(set(every.lengths) - set(self.order), split["zero"])
        if not self.classes.decouples(subject.model.potential):
            raise Refuted("the neurons of these classes do not decouple")
        if set(split["zero"]) - set(self.classes.state) or set(split["sign_flips"]) - {*self.classes.state, *self.classes.data}:
            raise Refuted("arrays that the model does not have are to vanish or to change sign")
        self.signs = {name: list(turn) for name, turn in split["sign_flips"].items()}
        self.moving = {dot: name for name, dot in velocities(subject.flow).items()}
        words = subject.flow_section["metric"].values()
        self.constant = not any(word.startswith("z") for word in words)
        single = all(sum(c != RIGID for c in a) < 2 for a in self.classes.state.values())
        if not self.constant and (self.signs or not single):
            raise Refuted("with this metric only one axis of an array may be coloured, and signs may not be flipped")
        self.drift = len(subject.flow.fields) > 1
        self.colouring = Counter({tuple(widths): count for widths, count in split["colours"]})
        for k, c in enumerate(self.order):
            if sum(w[k] * count for w, count in self.colouring.items()) != self.classes.lengths[c]:
                raise Refuted(f"the colours do not add up to the {self.classes.lengths[c]} neurons of class {k}")

    def shapes(self) -> Iterator[tuple[tuple[tuple[int, ...], ...], int]]:
        """The shapes of subnetworks and how many there are."""
        most = max(sum(c != RIGID for c in axes) for axes in self.classes.state.values())
        for size in range(1, most + 1):
            for colours in combinations_with_replacement(sorted(self.colouring, reverse=True), size):
                count = prod(comb(self.colouring[w], k) for w, k in Counter(colours).items())
                if count:
                    yield colours, count

    def written(self, colours: Sequence[Sequence[int]]) -> _Small:
        """The network of some colours."""
        lengths = {c: sum(w[k] for w in colours) for k, c in enumerate(self.order)}
        if any(n > self.classes.lengths[c] or n < 0 for c, n in lengths.items()):
            raise Refuted(f"there are not so many neurons as in the colours {list(colours)}")
        flow, subject = self.classes.smaller_flow(lengths), self.subject
        assert subject.model is not None
        state, data = dict(flow.state), dict(flow.data)
        if sum(prod(s) for s in [*state.values(), *data.values()]) > LARGEST_SMALL:
            raise Refuted(f"a subnetwork of more than {LARGEST_SMALL:,} coordinates")
        numbers = {name: i for i, name in enumerate([*_names(state), *_names(data)])}
        parameters = {name: state[name] for name in subject.model.parameters}
        arrays = {**parameters, **data}
        [small] = self.classes.resized([subject.model.potential], lengths)
        potential = _expanded(small, arrays, numbers)
        self._same_as_family(parameters, arrays, numbers, potential)
        fields = _fields(potential, parameters, numbers, subject.flow_section)
        of = {c: [i for i, w in enumerate(colours) for _ in range(w[k])] for k, c in enumerate(self.order)}
        known, marks, flips = {**self.classes.state, **self.classes.data}, list[frozenset[int]](), list[frozenset[int]]()
        for name, shape in [*state.items(), *data.items()]:
            turn = self.signs.get(self.moving.get(name, name), [0] * len(shape))
            for index in np.ndindex(*shape):
                pairs = [(of[c][i], t) for c, i, t in zip(known[name], index, turn, strict=True) if c != RIGID]
                marks.append(frozenset(i for i, _ in pairs))
                flips.append(frozenset(i for i, k in Counter(i for i, t in pairs if t).items() if k % 2))
        n = sum(prod(s) for s in state.values())
        for monomial in potential.terms:
            if self.signs and any(k % 2 for k in Counter(i for v in monomial for i in flips[v]).values()):
                raise Refuted("flipping signs as the certificate says changes the potential")
        owners = [name for name, shape in [*state.items(), *data.items()] for _ in range(prod(shape))]
        return _Small(state, numbers, n, fields, potential, marks, flips, owners)

    def _same_as_family(self, parameters: Any, arrays: Any, numbers: Mapping[str, int], potential: Polynomial) -> None:
        """The small network of a family is what the family makes of small sizes."""
        if self.family is None or any(n == 0 for s in parameters.values() for n in s):
            return
        name, shapes = self.family["name"], list(parameters.values())
        if name in ("linear", "relu"):
            matrices = [s for s in shapes if len(s) == 2]
            widths = [matrices[0][1], *(s[0] for s in matrices)]
        elif name in ("nmf", "icnn"):
            widths = [*shapes[0], shapes[1][1]]
        elif name == "pca":
            widths = list(shapes[0])
        else:
            return
        made = _family_model(name, {**self.family["arguments"], "widths": widths})
        if _expanded(made.potential, arrays, numbers) != potential:
            raise Refuted(f"cut down to {widths}, the network is not the {name} network of these widths")

    def mixed(self, small: _Small, own: frozenset[int], v: int) -> bool:
        """Whether a coordinate is small where the colours of ``own`` decouple from the others."""
        colours = small.colours[v]
        name = small.names[v]
        return bool(colours & own and colours - own) or (name in self.classes.zero and bool(colours - own))

    def check_decoupled(self, small: _Small, terms: Polynomial, own: frozenset[int], what: str) -> None:
        """Each term whose data have colours of ``own`` alone has state entries of these colours alone, or two mixed ones."""
        for monomial in terms.terms:
            if any(v >= small.n and not small.colours[v] <= own for v in monomial):
                continue
            state = [v for v in monomial if v < small.n]
            if any(not small.colours[v] <= own for v in state) and sum(self.mixed(small, own, v) for v in state) < 2:
                raise Refuted(f"{what} couples the colours {sorted(own)} to others")

    def point(self, small: _Small, seed: Sequence[int], p: int) -> npt.NDArray[np.int64]:
        """A random point that has weights between different colours, and what flips sign, equal to zero."""
        values = np.random.default_rng([1, *seed]).integers(0, p, small.n)
        for v in range(small.n):
            zero = small.names[v] in self.classes.zero
            if len(small.colours[v]) > 1 or small.flips[v] or zero:
                values[v] = 0
        return values


def _upper_by_subnetworks(whole: Mapping[str, Any], subject: _Subject, bounds: dict[str, int]) -> str:
    upper = whole["upper"]
    _check_prime(upper["prime"])
    network = _Network(whole, subject, upper)
    by_shape = {tuple(map(tuple, b["colours"])): b for b in upper["blocks"]}
    total, dimension, jets = upper["beside"], 0, 0
    for colours, copies in network.shapes():
        block = by_shape.pop(colours, None)
        rank, size, symbolic = _block(network, colours, block, upper["prime"])
        jets += not symbolic
        dimension += copies * size
        total += copies * rank
        if block is not None and (block["copies"], block["dimension"]) != (copies, size):
            raise Refuted(f"there are {copies} subnetworks {colours} with {size} coordinates each, not as the certificate says")
    if by_shape:
        raise Refuted(f"there are no subnetworks {next(iter(by_shape))}")
    beside = subject.dimension - dimension - network.drift
    if not 0 <= upper["beside"] <= beside:
        raise Refuted(f"{beside} coordinates have no colour; {upper['beside']} is not their rank")
    if upper["beside"]:
        _check_beside(network, upper)
    rank = total + network.drift
    if rank != upper["ranks"][-1] or sorted(upper["ranks"]) != upper["ranks"]:
        raise Refuted(f"the blocks add up to rank {rank}, not {upper['ranks'][-1]}")
    bounds["laws_at_most"] = subject.dimension - rank
    how = "exact symbolic brackets" + (f"; jets, the method of the search, for {jets} of them" if jets else "")
    how += "; jets beside them" if upper["beside"] else ""
    n, blocks = subject.dimension, len(upper["blocks"])
    return f"{n} - {rank} = {n - rank} laws, as {blocks} shape{'s' * (blocks > 1)} of subnetworks show ({how})"


def _check_beside(network: _Network, upper: Mapping[str, Any]) -> None:
    """The rank in coordinates without colour, by the search's own method."""
    from conslaw.splitting import split_ranks

    again = split_ranks(network.classes, network.colouring, seed=upper["seed"] + 1, p=upper["prime"])
    if again is None or again.beside != upper["beside"]:
        raise Refuted(f"the rank in coordinates without colour is not {upper['beside']}")


def _block(
    network: _Network, colours: tuple[tuple[int, ...], ...], block: Mapping[str, Any] | None, p: int
) -> tuple[int, int, bool]:
    """The rank of the trace in the coordinates with all of some colours; their number; whether it was found symbolically."""
    alone = len(colours) == 1
    own = frozenset(range(len(colours)))
    helpers = [w for w in network.colouring if network.colouring[w] > colours.count(w) and (not alone or w > colours[0])]
    small = network.written([*colours, *helpers])
    exact = [v for v in range(small.n) if small.colours[v] == own]
    if not exact:
        return 0, 0, True
    if block is None:
        raise Refuted(f"the subnetworks {colours} are missing")
    network.check_decoupled(small, small.potential, own, "the potential")
    lengths = [network.classes.lengths[c] for c in network.order]
    used = [sum(w[k] for w in (*colours, *helpers)) for k in range(len(lengths))]
    if any(a < n for a, n in zip(used, lengths, strict=True)):  # others than the helpers must be decoupled too
        one_more = network.written([*colours, tuple(min(1, n - a) for a, n in zip(used, lengths, strict=True))])
        network.check_decoupled(one_more, one_more.potential, own, "the potential")
    state = range(small.n)
    odd = [v for v in state if small.flips[v] == own]
    even = [v for v in state if not small.flips[v]]
    usable = set(odd) if all(small.colours[v] == own for v in odd) else set()
    if alone and all(len(small.colours[v]) < 2 for v in even):
        usable |= set(even)
    ranks = block["ranks"]
    if not ranks or sorted(ranks) != ranks or ranks[-1] > len(exact):
        raise Refuted(f"the ranks {ranks[:9]} of the subnetworks {colours} do not rise to at most {len(exact)}")
    sampler = _Sampler(small.fields, small.n, p, np.random.default_rng(2))
    control = [len(small.fields) - 1]
    symbolic = _symbolic(sampler.terms, ranks)
    if not symbolic:
        return _block_by_jets(network, colours, helpers, ranks, p), len(exact), False
    point, allowed = network.point(small, list(np.ravel(colours)), p), small.allowed(own)
    inside = np.append(point * allowed[: small.n], 0)[: small.n]
    rows = list[list[int]]()
    for depth, more in enumerate(_increments(ranks), start=1):
        for _ in range(more + SURPLUS if more else 0):
            value = sampler.sample(depth, inside, first=control, allowed=_data_only(allowed, small.n))
            if any(value[v] for v in state if not small.colours[v] <= own and not (network.drift and v == 0)):
                raise Refuted(f"the subnetwork {colours} moves other neurons")
            rows.append([int(value[v]) for v in exact])
            if helpers and usable:
                value = sampler.sample(depth, point, first=control)
                rows.append([int(value[v]) if v in usable else 0 for v in exact])
    found = _rank(rows, p)
    if found != ranks[-1]:
        raise Refuted(f"the subnetworks {colours} have rank {found}, not {ranks[-1]}")
    return found, len(exact), True


def _data_only(allowed: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.bool_]:
    """Which variables may be other than zero when data are drawn."""
    result = allowed.copy()
    result[:n] = True
    return result


def _block_by_jets(
    network: _Network, colours: Sequence[tuple[int, ...]], helpers: Sequence[tuple[int, ...]], ranks: Sequence[int], p: int
) -> int:
    from conslaw.splitting import block_ranks

    found = block_ranks(network.classes, colours, helpers, seed=3, p=p)[-1]
    if found != ranks[-1]:
        raise Refuted(f"the subnetworks {colours} have rank {found}, not {ranks[-1]}")
    return found


def _lower_by_families(whole: Mapping[str, Any], subject: _Subject, bounds: dict[str, int]) -> str:
    """The entries of families are identities in a network that has as many neurons as a term can involve, and independent."""
    lower = whole["lower"]
    if subject.flow is None:
        raise Refuted("families are of flows of models in a metric of words")
    every = IndexClasses.of(subject.flow)
    for i, one in enumerate(lower["families"]):
        _check_identity(subject, every, one, i)
        _check_written(subject.flow, one)
    if lower["split"] is None:
        found = _rank_directly(subject, lower)
        how = "at a random point, by jets"
    else:
        _check_prime(lower["split"]["prime"])
        found = _rank_in_blocks(_Network(whole, subject, lower["split"]), lower)
        how = "in subnetworks"
    claimed = sum(one["laws"] for one in lower["families"])
    bounds["laws_found"] = found
    if found != claimed or found != whole["bounds"]["laws_found"]:
        raise Refuted(f"the gradients of the families have rank {found}, not {whole['bounds']['laws_found']}")
    texts = "; ".join(one["text"] for one in lower["families"]) or "no family"
    return f"{found} laws, as the entries of {texts} are identities over Q, and their gradients have rank {found} ({how})"


def _check_written(flow: Flow, one: Mapping[str, Any]) -> None:
    """A family is written as its terms say."""
    from conslaw.families import Combination, candidates, family

    known = {(c.kind, c.factors, c.out): c for c in candidates(flow)}
    parts = []
    for term in one["terms"]:
        candidate = known.get((one["kind"], tuple(map(tuple, term["factors"])), term["indices"]))
        if candidate is None:
            raise Refuted(f"{one['text']}: {term['factors']} is not a candidate of this model")
        parts.append((term["coefficient"], candidate))
    written = family(flow, Combination(tuple(parts), one["time_power"]), one["laws"])
    for name in ("text", "latex", "kind", "size"):
        if getattr(written, name) != one[name]:
            raise Refuted(
                f"{one['text']} of size {one['size']} is written as its terms do not say: {written.text}, size {written.size}"
            )


def _entries_of(
    one: Mapping[str, Any], state: Mapping[str, Sequence[int]], numbers: Mapping[str, int]
) -> dict[tuple[int, ...], Polynomial]:
    """The entries of a family, written out by index."""
    result: dict[tuple[int, ...], Polynomial] = {}
    for term in one["terms"]:
        sizes: dict[str, int] = {}
        for name, letters in term["factors"]:
            for letter, n in zip(letters, state[name], strict=True):
                if sizes.setdefault(letter, n) != n:
                    raise Refuted(f"{one['text']}: the axes {letter} differ in length")
        out = term["indices"]
        skew = one["kind"] == "skew"
        sums: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        for values in product(*(range(n) for n in sizes.values())):
            at = dict(zip(sizes, values, strict=True))
            monomial = tuple(sorted(numbers[_entry_name(name, [at[c] for c in letters])] for name, letters in term["factors"]))
            index = tuple(at[c] for c in out)
            for where, sign in ((index, 1), (index[::-1], -1)) if skew else ((index, 1),):
                mine = sums.setdefault(where, {})
                mine[monomial] = mine.get(monomial, 0) + sign * term["coefficient"]
        for index in product(*(range(sizes[c]) for c in out)):
            piece = Polynomial({m: c for m, c in sums.get(index, {}).items() if c})
            result[index] = result[index] + piece if index in result else piece
    if one["time_power"]:
        result = {index: x * Polynomial.variable(numbers[TIME]) ** one["time_power"] for index, x in result.items()}
    return result


def _entry_name(name: str, index: Sequence[int]) -> str:
    return f"{name}[{','.join(map(str, index))}]" if index else name


def _check_identity(subject: _Subject, every: IndexClasses, one: Mapping[str, Any], number: int) -> None:
    from conslaw.families import Candidate, indices_of_derivative

    if not one["terms"]:
        raise Refuted(f"family {number + 1} is empty")
    assert subject.model is not None
    needed = dict.fromkeys(every.lengths, 1)
    for term in one["terms"]:
        factors = tuple((name, letters) for name, letters in term["factors"])
        candidate = Candidate(one["kind"], one["size"], factors, term["indices"], ("", "")[: 1 + (one["kind"] == "skew")], ())
        counts = indices_of_derivative(every, candidate)
        if counts is None:
            raise Refuted(f"{one['text']} depends on the number of neurons")
        needed = {c: max(n, counts.get(c, 0)) for c, n in needed.items()}
    lengths = {c: min(n, needed[c]) for c, n in every.lengths.items()}  # as many as a term can involve
    flow = every.smaller_flow(lengths)
    state, data = dict(flow.state), dict(flow.data)
    numbers = {name: i for i, name in enumerate([*_names(state), *_names(data)])}
    parameters = {name: state[name] for name in subject.model.parameters}
    [small] = every.resized([subject.model.potential], lengths)
    potential = _expanded(small, {**parameters, **data}, numbers)
    fields = _fields(potential, parameters, numbers, subject.flow_section)
    for index, entry in _entries_of(one, state, numbers).items():
        for vector_field in fields:
            if _derivative(entry, vector_field, {}).terms:
                raise Refuted(f"{one['text']}: entry {index} is not conserved")


def _rank_directly(subject: _Subject, lower: Mapping[str, Any]) -> int:
    from conslaw.families import Candidate, Combination, directly

    assert subject.flow is not None
    made = []
    for one in lower["families"]:
        signed = ("", "")[: 1 + (one["kind"] == "skew")]
        parts = [
            (t["coefficient"], Candidate(one["kind"], one["size"], tuple(map(tuple, t["factors"])), t["indices"], signed, ()))
            for t in one["terms"]
        ]
        made.append(Combination(tuple(parts), one["time_power"]))
    return sum(directly(subject.flow, made, lower["seed"] + 1))


def _rank_in_blocks(network: _Network, lower: Mapping[str, Any]) -> int:
    split, total = lower["split"], 0
    by_shape = {tuple(map(tuple, b["colours"])): b for b in split["blocks"]}
    for colours, copies in network.shapes():
        block = by_shape.get(colours)
        if block is None:
            continue
        own = frozenset(range(len(colours)))
        lengths = [network.classes.lengths[c] for c in network.order]
        used = [sum(w[k] for w in colours) for k in range(len(lengths))]
        other = tuple(min(1, n - a) for a, n in zip(used, lengths, strict=True))
        small = network.written([*colours, other])
        point = network.point(small, list(np.ravel(colours)), split["prime"]).tolist() + [0] * (len(small.numbers) - small.n)
        if network.drift:
            point[0] = 1
        exact = [v for v in range(small.n) if small.colours[v] == own]
        rows = list[list[int]]()
        for one in lower["families"]:
            axes = _family_axes(network, one)
            of = {c: [i for i, w in enumerate([*colours, other]) for _ in range(w[k])] for k, c in enumerate(network.order)}
            for index, entry in _entries_of(one, small.state, small.numbers).items():
                where = frozenset(of[c][i] for c, i in zip(axes, index, strict=True) if c != RIGID)
                if not where <= own:
                    continue
                network.check_decoupled(small, entry, own, one["text"])
                if where == own:
                    slopes = entry.slopes()
                    rows.append([slopes[v].at(point, split["prime"]) if v in slopes else 0 for v in exact])
        rank = _rank(rows, split["prime"])
        if rank != block["laws"]:
            raise Refuted(f"the laws of the subnetworks {colours} have gradients of rank {rank}, not {block['laws']}")
        total += copies * rank
    return total


def _family_axes(network: _Network, one: Mapping[str, Any]) -> list[int]:
    """The class of each axis of a family."""
    term = one["terms"][0]
    by_letter = {c: k for name, letters in term["factors"] for c, k in zip(letters, network.classes.state[name], strict=True)}
    return [by_letter[c] for c in term["indices"]]


def _conclusion(whole: Mapping[str, Any], subject: _Subject, bounds: Mapping[str, int]) -> str:
    claimed = whole["bounds"]
    if claimed["state_dimension"] != subject.dimension:
        raise Refuted(f"the state has {subject.dimension} coordinates, not {claimed['state_dimension']}")
    for name, words in (("laws_at_most", "upper"), ("laws_found", "lower")):
        if name not in bounds:
            raise Refuted(f"the {words} bound does not hold")
        if bounds[name] != claimed[name]:
            raise Refuted(f"{name} is {bounds[name]}, not {claimed[name]}")
    complete = bounds["laws_at_most"] == bounds["laws_found"]
    if claimed["complete"] != complete:
        raise Refuted(f"complete is {complete}, not {claimed['complete']}")
    stated = claim(whole["model"], whole["flow"], claimed)
    if stated != whole["claim"]:
        raise Refuted(f"what is proved is {stated!r}, not what is claimed")
    return "both bounds meet" if complete else "the bounds do not meet, and the claim says so"
