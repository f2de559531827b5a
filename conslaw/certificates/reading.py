"""Reading a certificate: JSON, its schema, polynomials as text, array code as data.  Nothing in it is
executed.

Every number, name and shape is checked here, when it is read; what comes after may rely on that.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import flint
import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Expression, input_array
from conslaw.certificates.budget import MOST_BITS, MOST_ENTRIES, NotChecked
from conslaw.certificates.kernel import Node, Refuted, Shape, objects
from conslaw.errors import ConslawError

LARGEST_FILE = 2**28  # bytes
NESTED = 20  # lists and objects in one another
MOST_AXES = 8  # of an array
LARGEST_NODE = 4 * 10**7  # entries of an array that array code makes
MOST_CONSTANTS = 2**20  # entries of the constants of array code
LARGEST_DEGREE = 2000
LONGEST_NUMBER = 1000  # digits

Terms = dict[tuple[int, ...], Fraction]  # a polynomial: from sorted variable numbers to coefficients


def read(source: str | Path | Mapping[str, Any]) -> Any:
    """The JSON value of a file, of standard input (``"-"``) or of an object."""
    if not isinstance(source, str | Path | Mapping):
        raise ConslawError(f"verify({source!r}): give the path of a certificate, or the certificate")
    called = "the certificate" if isinstance(source, Mapping) else source
    try:
        if isinstance(source, Mapping):
            text: str | bytes = json.dumps(source)
        elif source == "-":
            text = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            path = Path(source)
            if path.exists() and not path.is_file():
                raise ConslawError(f"{source}: not a file")
            with path.open("rb") as file:
                text = file.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise ConslawError(f"{called}: larger than {LARGEST_FILE:,} bytes")
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        value = json.loads(
            decoded, object_pairs_hook=_without_repetition, parse_float=_no_float, parse_constant=_no_float
        )
        if _is_deep(value):
            raise ConslawError(f"{called}: not JSON of a certificate: nested more than {NESTED} times")
        return value
    except OSError as error:
        raise ConslawError(f"{source}: {error.strerror or error}") from None
    except (ValueError, RecursionError, TypeError) as error:
        raise ConslawError(f"{called}: not JSON: {error}"[:300]) from None


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more often than any certificate needs."""
    level = [value]
    for _ in range(NESTED):
        level = [
            y for x in level if isinstance(x, dict | list) for y in (x.values() if isinstance(x, dict) else x)
        ]
        level = [x for x in level if isinstance(x, dict | list)]
    return bool(level)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return dict(pairs)


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not an integer; a certificate has no other numbers")


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    strict = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    schema = json.loads(files("conslaw.certificates").joinpath(name).read_text(encoding="utf-8"))
    return extend(Draft202012Validator, type_checker=strict)(schema)


def problem(value: Any, schema: str) -> str:
    """What in a value is not as the schema says, in a line; empty if all is well."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator(schema).iter_errors(value))
    return "" if error is None else printable(f"{error.json_path}: {error.message}"[:200])


def printable(text: str) -> str:
    """Text of a certificate for a terminal, where control characters could write over what stands there."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


# polynomials

NAME = r"[^\W\d]\w*(?:\[[0-9,]+\])?"
TOKEN = re.compile(rf"\s*(?:(\*\*)|([-+*/])|([0-9]+)|(log\({NAME}\)|{NAME}))")


def parse(text: str, names: Mapping[str, int]) -> Terms:
    """A sum of products of numbers, names and their powers."""
    tokens, position, text = list[tuple[str, str]](), 0, text.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if not found:
            raise Refuted(f"{text[position : position + 40]!r} is not part of a polynomial")
        position = found.end()
        tokens.append(
            (
                ("power", "sign", "number", "name")[(found.lastindex or 1) - 1],
                str(found[found.lastindex or 1]),
            )
        )
        if len(tokens[-1][1]) > LONGEST_NUMBER:
            raise Refuted(f"{tokens[-1][1][:40]}... has more than {LONGEST_NUMBER} characters")
    terms: Terms = {}
    length = 0
    sign, coefficient, monomial, expect, divide = 1, Fraction(1), list[int](), True, False
    i = 0
    if tokens and tokens[0] == ("sign", "-"):  # one sign may lead
        sign, i = -1, 1
    tokens.append(("sign", "+"))
    while i < len(tokens):
        kind, token = tokens[i]
        if kind == "sign" and token in "+-" and not expect:
            key = tuple(sorted(monomial))
            length += len(key)
            if length > MOST_ENTRIES:  # a power is short as text
                raise NotChecked(f"a polynomial of more than {MOST_ENTRIES:,} factors")
            terms[key] = _of_few_digits(terms.get(key, Fraction(0)) + sign * coefficient)
            sign, coefficient, monomial, expect = (1 if token == "+" else -1), Fraction(1), [], True
        elif kind == "sign" and token in "*/" and not expect:
            expect, divide = True, token == "/"
        elif kind == "number" and expect and not (divide and int(token) == 0):
            number = Fraction(1, int(token)) if divide else int(token)
            coefficient = _of_few_digits(coefficient * number)
            expect, divide = False, False
        elif kind == "name" and expect and not divide:
            if token not in names:
                raise Refuted(f"there is no coordinate {token[:40]}")
            power = 1
            if i + 2 < len(tokens) and tokens[i + 1][0] == "power" and tokens[i + 2][0] == "number":
                power, i = int(tokens[i + 2][1]), i + 2
            if len(monomial) + power > LARGEST_DEGREE:
                raise Refuted(f"the degree of {text[:40]!r} is more than {LARGEST_DEGREE}")
            monomial += [names[token]] * power
            expect = False
        else:
            raise Refuted(f"{text[:60]!r} is not a polynomial: unexpected {token[:40]!r}")
        i += 1
    return {monomial: c for monomial, c in terms.items() if c}


def _of_few_digits(value: Fraction) -> Fraction:
    """The value; what grows longer with each factor and each term is not begun."""
    if (bits := max(value.numerator.bit_length(), value.denominator.bit_length())) > MOST_BITS:
        raise NotChecked(f"coefficients of {bits:.1e} bits")
    return value


def polynomial_code(polynomials: Sequence[Terms], arrays: Mapping[str, int]) -> list[Node]:
    """Array code, on vectors of these lengths side by side, whose last node is the vector of polynomials."""
    one = sum(arrays.values())
    nodes, start, joined = list[Node](), 0, objects([Fraction(0)] * one + [Fraction(1)], (one + 1,))

    def new(operation: str, arguments: tuple[int, ...], shape: Shape, attribute: Any = None) -> int:
        nodes.append(Node(operation, arguments, shape, attribute))
        return len(nodes) - 1

    every = new("constant", (), (one + 1,), joined)
    for name, length in arrays.items():
        if length:
            here = new("input", (), (length,), name)
            there = new("put", (here,), (one + 1,), np.arange(start, start + length))
            every, start = new("add", (every, there), (one + 1,)), start + length
    terms = [(k, monomial, c) for k, x in enumerate(polynomials) for monomial, c in x.items()]
    terms = terms or [(0, (), Fraction(0))]
    degree = max(len(m) for _, m, _ in terms)
    if len(terms) * degree > MOST_ENTRIES:
        raise NotChecked(f"{len(terms):,} terms of degrees up to {degree}")
    table = np.full((len(terms), degree), one)
    for row, (_, monomial, _) in enumerate(terms):
        table[row, : len(monomial)] = monomial
    value = new("constant", (), (len(terms),), objects([c for _, _, c in terms], (len(terms),)))
    for column in table.T:
        factor = new("take", (every,), (len(terms),), column)
        value = new("product", (value, factor), (len(terms),), ("a", "a", "a"))
    new("put", (value,), (max(1, len(polynomials)),), np.array([k for k, _, _ in terms]))
    return nodes


# array code


def code(output: Expression) -> list[Node]:
    """An expression as array code."""
    order = topological_order([output])
    position = {id(node): i for i, node in enumerate(order)}

    def attribute(node: Expression) -> Any:
        if node.operation != "constant":
            return node.attribute
        return objects([Fraction(v) for v in node.attribute.reshape(-1)], node.shape)

    return [Node(x.operation, tuple(position[id(y)] for y in x.args), x.shape, attribute(x)) for x in order]


def expression(nodes: Sequence[Mapping[str, Any]], inputs: Mapping[str, Expression]) -> Expression:
    """The last of some nodes of array code, each of which is checked."""
    made, entries = list[Expression](), 0
    for i, node in enumerate(nodes):
        operation, shape, given = node["operation"], tuple(node["shape"]), node["attribute"]
        if any(not 0 <= k < i for k in node["arguments"]):
            raise Refuted(f"node {i} of the graph uses a node that does not come before it")
        if len(shape) > MOST_AXES or prod(shape) > LARGEST_NODE:
            raise NotChecked(f"node {i} of the graph has the shape {shape}"[:100])
        entries += prod(shape) * (operation == "constant")
        if entries > MOST_CONSTANTS:
            raise NotChecked(f"constants of more than {MOST_CONSTANTS:,} entries in the graph")
        arguments = [made[k] for k in node["arguments"]]
        try:
            attribute = READERS[operation](arguments, shape, given)
        except (TypeError, ValueError, LookupError) as error:
            raise Refuted(
                f"node {i} of the graph is no {operation} to the shape {shape}: {error}"[:200]
            ) from None
        if operation == "input" and (given not in inputs or inputs[given].shape != shape):
            raise Refuted(f"node {i} of the graph is no array of the model of shape {shape}")
        made.append(
            inputs[given]
            if operation == "input"
            else Expression(operation, tuple(arguments), attribute, shape)
        )
    if not made:
        raise Refuted("the graph is empty")
    return made[-1]


def _must(holds: object, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _arguments(given: Sequence[Expression], count: int) -> None:
    _must(len(given) == count, f"{len(given)} arguments, not {count}")


def _input(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 0)
    _must(isinstance(given, str), f"no name: {given!r}")
    return given


def _constant(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 0)
    _must(
        isinstance(given, list) and len(given) in (1, prod(shape)), "neither one value nor one for each entry"
    )
    exact = [rational(v) for v in given]
    return objects(exact * prod(shape) if len(exact) == 1 else exact, shape)


def _add(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 2)
    _must(
        given is None and all(x.shape == shape for x in arguments),
        f"of shapes {[x.shape for x in arguments]}",
    )


def _product(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 2)
    _must(
        isinstance(given, list) and len(given) == 3 and all(isinstance(x, str) for x in given),
        f"by {given!r}",
    )
    a, b, out = given
    letters = set(a) | set(b) | set(out)
    _must(all(c.isascii() and c.isalpha() and c != "Z" for c in letters), f"by {given!r}")
    _must(all(len(set(x)) == len(x) for x in given), f"by {given!r}: a letter twice in one array")
    _must(all(sum(c in x for x in given) > 1 for c in letters), f"by {given!r}: a letter in one array alone")
    sizes = dict(zip(a, arguments[0].shape, strict=True))
    _must(
        all(sizes.setdefault(c, n) == n for c, n in zip(b, arguments[1].shape, strict=True)),
        f"by {given!r}: lengths differ",
    )
    _must(tuple(sizes[c] for c in out) == shape, f"by {given!r}: another shape")
    return tuple(given)


def _sum(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 1)
    before = arguments[0].shape
    _must(
        isinstance(given, list) and given and all(type(i) is int and 0 <= i < len(before) for i in given),
        f"over {given!r}",
    )
    _must(given == sorted(set(given)), f"over {given!r}: in order, each once")
    _must(tuple(n for i, n in enumerate(before) if i not in given) == shape, f"over {given!r} of {before}")
    return tuple(given)


def _positions(count: int, size: int, given: Any) -> Any:
    _must(isinstance(given, list) and len(given) == count, f"not {count} positions")
    _must(all(type(i) is int and 0 <= i < size for i in given), f"positions outside 0 to {size - 1}")
    return np.array(given, dtype=np.intp)


def _take(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 1)
    return _positions(prod(shape), arguments[0].size, given).reshape(shape)


def _put(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 1)
    return _positions(arguments[0].size, prod(shape), given).reshape(arguments[0].shape)


def _reshape(arguments: Sequence[Expression], shape: Shape, given: Any) -> Any:
    _arguments(arguments, 1)
    _must(given is None and arguments[0].size == prod(shape), f"of {arguments[0].shape}")


READERS: dict[str, Callable[[Sequence[Expression], Shape, Any], Any]] = {
    "input": _input,
    "constant": _constant,
    "add": _add,
    "product": _product,
    "sum": _sum,
    "take": _take,
    "put": _put,
    "reshape": _reshape,
}


def rational(text: Any) -> Fraction:
    """A rational number, written as Python writes fractions."""
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,1000}(/[1-9][0-9]{0,999})?", text):
        raise Refuted(f"{str(text)[:40]!r} is no rational number")
    if str(Fraction(text)) != text:
        raise Refuted(f"{text[:40]!r}: write {str(Fraction(text))[:40]}")
    return Fraction(text)


def prime(p: int) -> int:
    """A modulus that is a prime of 21 to 31 bits."""
    if not 2**20 <= p < 2**31 or not flint.fmpz(p).is_prime():
        raise Refuted(f"{str(p)[:40]} is not a prime between 2**20 and 2**31")
    return p


def inputs(shapes: Mapping[str, Shape]) -> dict[str, Expression]:
    """Free arrays of these shapes."""
    return {name: input_array(name, shape) for name, shape in shapes.items()}
