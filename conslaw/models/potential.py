"""A model: a potential, polynomial in parameters and in free data, written once as array code."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from keyword import iskeyword
from numbers import Integral
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from conslaw import display
from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.exact_numbers import READING
from conslaw.algebra.expressions import ONE, Expression, Shape, Sizes, as_expression, input_array, size
from conslaw.algebra.not_polynomial import SUPPORTED, way_round
from conslaw.algebra.values import Graphs, as_nodes, digest, from_nodes, frozen
from conslaw.errors import ConslawError, UnsupportedError
from conslaw.models.cut import with_pieces
from conslaw.models.readings import RECORDER, Reading, Recorder, graphs_of, with_graphs

MOST_AXES = 8

NOT_THE_USERS = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
    "<frozen ",
    "<__array_function__",
)


class Arrays:
    """The named arrays that a potential receives: ``p.U`` or ``p["U"]``."""

    def __init__(self, kind: str, arrays: Mapping[str, Any]) -> None:
        self._kind, self._arrays = kind, arrays

    def __getitem__(self, name: str) -> Any:
        if name not in self._arrays:
            known = ", ".join(self._arrays) or "none"
            raise UnsupportedError(
                f"the array code asks for {self._kind} {name!r}, which is not declared; declared: {known}"
            )
        return self._arrays[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)


def name_of(code: Callable[..., object], default: str) -> str:
    """What the user called some array code."""
    return str(getattr(code, "__name__", default)).replace("<lambda>", default)


@dataclass(frozen=True)
class MetricCode:
    """A metric that was given as array code: what it made of the arrays z, to be made again of others."""

    name: str
    blocks: Mapping[str, Expression]

    @staticmethod
    def of(code: Callable[[Any], Any], parameters: Mapping[str, Shape]) -> MetricCode:
        """Run array code once."""
        z = {name: input_array(name, shape) for name, shape in parameters.items()}
        made = run_array_code("metric", code, Arrays("metric array", z))
        blocks = made if isinstance(made, Mapping) else {"": made}
        return MetricCode(
            name_of(code, "custom"), frozen({n: constant_of_a_metric(x) for n, x in blocks.items()})
        )

    @cached_property
    def digest(self) -> str:
        """What two metrics have in common iff they are equal."""
        return digest(self.blocks)

    def __call__(self, z: Arrays) -> dict[str, Expression]:
        arrays = {name: z[name] for name in z}
        return dict(zip(self.blocks, evaluate(list(self.blocks.values()), arrays, Graphs()), strict=True))


def constant_of_a_metric(value: object) -> Expression:
    """An entry, a diagonal or a matrix of a metric: floats in it are hyper-parameters."""
    before = READING.set("metric")
    try:
        return as_expression(value)
    finally:
        READING.reset(before)


def run_array_code(what: str, code: Callable[..., object], *arguments: Arrays) -> Any:
    """Call the user's array code; whatever it raises becomes one error that says so."""
    if not callable(code):
        raise ConslawError(
            f"{what}={code!r}: give a function of {len(arguments)} argument{'s' * (len(arguments) > 1)}"
        )
    before = READING.set(what)
    try:
        return code(*arguments)
    except ConslawError as error:
        raise ConslawError(f"{error}{line_of(error)}") from error
    except Exception as error:
        raise ConslawError(
            f"the {what} raised {type(error).__name__}: {error}{_fix(error)}{line_of(error)}. Supported: "
            f"{SUPPORTED}"
        ) from error
    finally:
        READING.reset(before)


def _fix(error: Exception) -> str:
    """What to write instead where NumPy had the last word."""
    if "setting an array element with a sequence" in str(error):
        return " To fill an array by index, make it with np.zeros(shape, dtype=object), or use np.stack"
    called = re.search("no callable ([a-z0-9]+) method", str(error))
    return way_round(called[1]) if called else ""


def line_of(error: BaseException) -> str:
    """Where in the user's code an error was raised: the innermost line outside of libraries."""
    if " (line " in str(error):  # it says so already
        return ""
    lines = [x for x in traceback.extract_tb(error.__traceback__) if not x.filename.startswith(NOT_THE_USERS)]
    if not lines:
        return ""
    last = lines[-1]
    if last.line:
        return f" (line {last.lineno} of {Path(last.filename).name}: {last.line})"
    return f" (line {last.lineno} of {last.filename})"


def line_of_call() -> str:
    """The innermost line of the user's code that is being run."""
    for line in reversed(traceback.extract_stack()):
        if not line.filename.startswith(NOT_THE_USERS):
            return f"line {line.lineno} of {Path(line.filename).name}"
    return ""


@dataclass(frozen=True, eq=False)
class Model(display.InNotebooks):
    """A parametrised family of functions, given by its potential f(parameters; data).

    The gradients of f with respect to the parameters, over all values of the data, span W_phi of [MGP23]: the
    phi_i are the coefficients of f as a polynomial in the data.  A model cannot be changed; two are equal,
    and have the same hash in every process, if name, arrays, graph of the potential and metric are.

    Attributes
    ----------
    name : str
    parameters, data : mapping from array name to shape (a tuple of positive integers, ``()`` for a scalar)
    potential : the scalar polynomial expression f
    arguments : for a named family, how it was called (``{"widths": [3, 2, 4], "bias": False}``)
    metric : the customary metric, see :func:`conslaw.gradient_flow`
    readings : how each nonlinearity of the array code was read as free data (:mod:`conslaw.nn`)
    """

    name: str
    parameters: Mapping[str, Shape]
    data: Mapping[str, Shape]
    potential: Expression = field(repr=False)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    metric: Any = "euclidean"
    readings: tuple[Reading, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("parameters", "data", "arguments", "metric"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def _summary(self) -> display.Summary:
        widths = self.arguments.get("widths")
        sizes = f" {'-'.join(map(str, widths))}" if isinstance(widths, list | tuple) else ""
        metric = self.metric if isinstance(self.metric, str) else "its own"
        rows: list[tuple[str, str | int]] = [("parameters", self.size)]
        rows += [("arrays", display.arrays(self.parameters)), ("data", display.arrays(self.data))]
        rows.append(("metric", metric))
        rows += [("read as free data", ", ".join(r.operation for r in self.readings))] * bool(self.readings)
        return display.Summary(f"model: {self.name}{sizes}", rows)

    @cached_property
    def digest(self) -> str:
        """What two models have in common iff they are equal."""
        read = [(r.operation, r.rule, r.data, r.slopes) for r in self.readings]
        return digest((self.name, self.parameters, self.data, self.potential, self.metric, read))

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return int(self.digest[:15], 16)

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies: the graphs of potential and readings as one, for they share nodes."""
        graphs = graphs_of(self.readings)
        bare = with_graphs(self.readings, [ONE] * len(graphs))
        return {**vars(self), "potential": as_nodes([self.potential, *graphs]), "readings": bare}

    def __setstate__(self, state: dict[str, Any]) -> None:
        potential, *graphs = from_nodes(*state["potential"])
        read = with_graphs(state["readings"], graphs)
        for name, value in {**state, "potential": potential, "readings": read}.items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """Number of scalar parameters."""
        return size(self.parameters)


def model(
    potential: Callable[[Any, Any], object],
    *,
    parameters: Mapping[str, Sizes],
    data: Mapping[str, Sizes] | None = None,
    name: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    metric: Any = "euclidean",
) -> Model:
    r"""Define a model by its potential.

    Parameters
    ----------
    potential : callable ``(p, c) -> scalar``
        Array code, called once.  ``p`` and ``c`` hold the parameter and data arrays by name (``p.U``,
        ``c.x``).  It may use ``+ - * @ **`` with integer exponents, division by numbers, ``.T``, indexing,
        ``.sum()``, ``.reshape()`` and ``numpy.einsum``, with NumPy's meaning, and integer or
        :class:`fractions.Fraction` constants.
    parameters : mapping from names to shapes
        ``{"U": (3, 2), "V": (4, 2), "scale": ()}``; lists and integers of NumPy do too.
    data : mapping from names to shapes, optional
        Free data: inputs, gates, and a vector that picks a combination of the outputs.
    name : str, optional
        Shown in results; the potential's own name by default.
    arguments : mapping, optional
        What the model was made from, for the record (``widths``, ``bias``).
    metric : optional
        The metric that flows of this model have unless told otherwise; see :func:`gradient_flow`.

    Returns
    -------
    Model

    Raises
    ------
    ConslawError
        If the potential is not a scalar polynomial of the declared arrays, or a shape is not one.

    Examples
    --------
    Matrix factorisation, :math:`\varphi = U V^T`; its gradient flow conserves :math:`U^T U - V^T V`:

    >>> import conslaw
    >>> factorisation = conslaw.model(
    ...     lambda p, c: c.v @ p.U @ p.V.T @ c.x,
    ...     parameters={"U": (3, 2), "V": (4, 2)},
    ...     data={"x": (4,), "v": (3,)},
    ... )
    >>> conslaw.count(conslaw.gradient_flow(factorisation)).laws_at_most
    3

    References
    ----------
    [MGP23] Marcotte, Gribonval, Peyré, *Abide by the Law and Follow the Flow*, NeurIPS 2023, arXiv
    2307.00144, Section 2.
    """
    shapes = {
        "parameter": _shapes("parameters", parameters),
        "data": _shapes("data", {} if data is None else data),
    }
    both = sorted(set(shapes["parameter"]) & set(shapes["data"]))
    if both:
        raise ConslawError(
            f"the name {both[0]!r} stands in parameters and in data: give each array a name of its own"
        )
    if not shapes["parameter"]:
        raise ConslawError("parameters={}: a model needs at least one parameter array")
    if not isinstance(arguments, Mapping | None) or not isinstance(name, str | None):
        raise ConslawError(f"name={name!r}, arguments={arguments!r}: give a string and a mapping")
    arrays = {
        kind: {n: input_array(n, shape) for n, shape in named.items()} for kind, named in shapes.items()
    }
    record = Recorder(shapes["parameter"], shapes["data"], line_of_call)
    before = RECORDER.set(record)
    try:
        result = run_array_code(
            "potential", potential, Arrays("parameter", arrays["parameter"]), Arrays("data", arrays["data"])
        )
    finally:
        RECORDER.reset(before)
    code = getattr(potential, "__code__", None)
    where = f" (line {code.co_firstlineno} of {Path(code.co_filename).name})" if code else ""
    if result is None:
        raise ConslawError(f"the potential{where} returned None: it must return the scalar")
    value = as_expression(result)
    if value.shape != ():
        raise ConslawError(
            f"the potential{where} has shape {value.shape}; it must be a scalar: multiply by a free data "
            f"vector, such as c.v @ (...)"
        )
    value = with_pieces(value, record.cuts)
    shapes["data"] |= record.data
    own = {id(x) for named in (*arrays.values(), record.arrays) for x in named.values()}
    nodes = topological_order([value])
    for node in nodes:
        if 0 in node.shape:
            raise ConslawError(f"the potential{where} makes an array of shape {node.shape}: leave it out")
        if node.operation == "input" and id(node) not in own:
            raise ConslawError(
                f"the potential uses {node!r} of another model: use the arrays that it is given"
            )
    used = {node.attribute for node in nodes if node.operation == "input"}
    if not used & set(shapes["parameter"]):
        raise ConslawError("the potential uses none of the parameters: " + ", ".join(shapes["parameter"]))
    for unused, x in arrays["parameter"].items():
        if unused not in used:  # each of its entries is conserved: the code says so
            value = value + 0 * x.sum()
    called = name if name is not None else name_of(potential, "model")
    if callable(metric):
        metric = MetricCode.of(metric, shapes["parameter"])
    readings = tuple(record.readings)
    return Model(called, shapes["parameter"], shapes["data"], value, dict(arguments or {}), metric, readings)


def _shapes(kind: str, declared: Mapping[str, Sizes]) -> dict[str, Shape]:
    if not isinstance(declared, Mapping):
        raise ConslawError(
            f'{kind}={declared!r}: give a mapping from names to shapes, such as {{"U": (3, 2)}}'
        )
    result: dict[str, Shape] = {}
    for name, shape in declared.items():
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_") or iskeyword(name):
            raise ConslawError(
                f"{kind}: {name!r} is not a usable array name; use an identifier, such as 'W1'"
            )
        if not is_shape(shape):
            raise ConslawError(
                f"{kind}: {name}={shape!r} is not a shape; use a tuple of positive integers, such as (3, "
                f"2), or () for a scalar"
            )
        result[name] = tuple(int(n) for n in shape)
    return result


def is_shape(shape: object) -> bool:
    """Whether this is a tuple (or a list, or an array) of positive integers."""
    listed = shape.tolist() if isinstance(shape, np.ndarray) else shape
    return (
        isinstance(listed, tuple | list)
        and len(listed) <= MOST_AXES
        and all(map(is_positive_integer, listed))
    )


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether this is a list of something: a sequence or an array, but no text."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_positive_integer(n: object) -> bool:
    """Whether n is an integer >= 1 of any integer type but bool."""
    return isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1
