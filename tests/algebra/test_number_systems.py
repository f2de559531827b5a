"""Every primitive of array code through every number system: the shapes and the values agree."""

from fractions import Fraction

import numpy as np
import pytest

from conslaw.algebra.bounds import Bounds, BoundsNumbers
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, topological_order
from conslaw.algebra.expressions import Expression, as_expression, input_array
from conslaw.algebra.finite_field import LIFTING_PRIME as P
from conslaw.algebra.interpretations import Decoupling, DistinctIndices, Parities
from conslaw.algebra.jets import Jets
from conslaw.algebra.polynomials import Polynomials, evaluate_mod, number, terms
from conslaw.algebra.uniform_axes import RIGID, UniformAxes
from conslaw.certificates import kernel
from conslaw.certificates.budget import Sizes
from conslaw.certificates.reading import code
from conslaw.certificates.subnetworks import Characters

X, Y, V = input_array("x", (3, 2)), input_array("y", (2, 4)), input_array("v", (3, 2))
SHAPES = {"x": (3, 2), "y": (2, 4), "v": (3, 2)}
PRIMITIVES = {
    "input": X,
    "constant": as_expression([[1, 2], [Fraction(1, 2), -1], [0, 5]]),
    "add": X + V,
    "product": X @ Y,
    "product, entry by entry": X * V,
    "outer product": Expression("product", (X, Y), ("ab", "cd", "abcd"), (3, 2, 2, 4)),
    "sum": X.sum(0),
    "take": X[np.array([2, 0, 2])],
    "transpose": X.T,
    "put": Expression("put", (X,), np.array([[0, 1], [1, 2], [2, 0]]), (3,)),
    "reshape": X.reshape(6),
}
RNG = np.random.default_rng(0)
VALUES = {name: RNG.integers(-9, 9, shape) for name, shape in SHAPES.items()}


def exact(output):
    """The value over Q, by NumPy on fractions."""
    arrays = {name: x.astype(object) for name, x in VALUES.items()}
    return evaluate([output], arrays, NumPyNumbers(convert=Fraction))[0]


def classes_of(output):
    numbers, nodes = UniformAxes(), topological_order([output])
    arrays = {name: numbers.array(shape) for name, shape in SHAPES.items()}
    found = evaluate(nodes, arrays, numbers)
    return {id(node): numbers.classes(x) for node, x in zip(nodes, found, strict=True)}, numbers, arrays


def by_jets(output):
    arrays = {name: {0: (x % P).astype(np.uint64)[None]} for name, x in VALUES.items()}
    return evaluate([output], arrays, Jets(P))[0][0][0]


def by_polynomials(output):
    [value] = evaluate([output], number(SHAPES), Polynomials())
    point = np.concatenate([x.reshape(-1) % P for x in VALUES.values()]).astype(np.uint64)
    return evaluate_mod(value, point, P)


def by_residues_of_the_kernel(output):
    arrays = {name: (x % P).astype(np.uint64)[None, None] for name, x in VALUES.items()}
    return kernel.run(code(output), arrays, kernel.Residues(P))[-1][0, 0]


def by_polynomials_of_the_kernel(output):
    numbers = kernel.Polynomials(20)
    values = kernel.run(code(output), numbers.variables(SHAPES), numbers)[-1]
    point = np.concatenate([x.reshape(-1) for x in VALUES.values()]).tolist()
    flat = [x(*point) for x in values.reshape(-1)]
    mod = [int(v.numerator) * pow(int(v.denominator), -1, P) % P for v in flat]
    return np.array(mod).reshape(values.shape)


@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize(
    "system",
    [by_jets, by_polynomials, by_residues_of_the_kernel, by_polynomials_of_the_kernel],
    ids=lambda f: f.__name__,
)
def test_values(primitive, system):
    expected = exact(PRIMITIVES[primitive])
    residues = [int(v.numerator) * pow(int(v.denominator), -1, P) % P for v in expected.reshape(-1).tolist()]
    found = system(PRIMITIVES[primitive])
    assert found.shape == expected.shape == PRIMITIVES[primitive].shape
    assert found.reshape(-1).tolist() == residues


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_bounds(primitive):
    """Terms, degrees and coefficient sums of the expanded polynomials are no larger than what is said of
    them.
    """
    output = PRIMITIVES[primitive]
    [value] = evaluate([output], number(SHAPES), Polynomials())
    found = terms(value)
    [bound] = evaluate([output], {n: Bounds(s, 1, 0.0) for n, s in SHAPES.items()}, BoundsNumbers())
    sizes = Sizes(20)
    size = kernel.run(code(output), sizes.variables(SHAPES), sizes)[-1]
    assert bound.shape == size.shape == output.shape
    for polynomial, most in zip(found, size.terms.reshape(-1), strict=True):
        degree = max((len(m) for m, _ in polynomial), default=0)
        total = float(sum(abs(c) for _, c in polynomial))
        assert degree <= min(bound.degree, size.degree)
        assert total <= 2.0 ** (bound.height + bound.below[1]) + 1e-9
        assert len(polynomial) <= most


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_axes_and_what_holds_along_them(primitive):
    """Classes, blocks, parities and counts have the form of the array; uniform axes are those that one can
    permute.
    """
    output = PRIMITIVES[primitive]
    classes, numbers, arrays = classes_of(output)
    own = classes[id(output)]
    assert len(own) == output.ndim
    names = {node.attribute for node in topological_order([output]) if node.operation == "input"}
    known = {name: numbers.classes(arrays[name]) for name in SHAPES}
    kinds = Decoupling(classes)
    inputs = {n: kinds.array(known[n], free=True, vanishing=False, first_order=True) for n in names}
    [blocks] = evaluate([output], inputs, kinds)
    assert all(
        len(block) == output.ndim and not any(b and c == RIGID for b, c in zip(block, own, strict=True))
        for block in blocks
    )
    parities = Parities(classes)
    unknown = iter(range(20))
    masks = {n: [1 << next(unknown) for _ in SHAPES[n]] for n in SHAPES}
    [parity] = evaluate([output], {n: masks[n] for n in names}, parities)
    assert len(parity) == output.ndim
    counts = DistinctIndices(classes)
    [count] = evaluate([output], {n: counts.array() for n in names}, counts)
    assert all(n >= 1 for n in count.values())
    characters = {n: np.zeros(SHAPES[n], dtype=np.intp) for n in names}
    assert kernel.run(code(output), characters, Characters())[-1].shape == output.shape


@pytest.mark.parametrize("primitive", ["add", "product", "product, entry by entry", "sum", "transpose"])
def test_uniform_axes_can_be_permuted(primitive):
    """Permuting the indices of one class in all inputs permutes the output along its axes of that class."""
    output = PRIMITIVES[primitive]
    classes, numbers, arrays = classes_of(output)
    for c in {c for c in classes[id(output)] if c != RIGID}:
        moved = {}
        for name, x in VALUES.items():
            for axis, k in enumerate(numbers.classes(arrays[name])):
                x = np.roll(x, 1, axis) if k == c else x
            moved[name] = x
        [value] = evaluate([output], {n: x.astype(float) for n, x in moved.items()}, NumPyNumbers())
        expected = exact(output).astype(float)
        for axis, k in enumerate(classes[id(output)]):
            expected = np.roll(expected, 1, axis) if k == c else expected
        assert np.array_equal(value, expected)


def test_scalars_stay_exact():
    """NumPy makes ints of 64 bits of the numbers that 0-d arrays give."""
    x, s = input_array("x", (3,)), input_array("s", ())
    values = {"x": np.array([2**40, 3, 5], dtype=object), "s": np.array(2**61, dtype=object)}
    found = evaluate(
        [(x[0] + x[0]) * (x[0] + x[0]), x.sum() * x.sum(), (s + s) + (s + s), x[1].reshape(1, 1)],
        values,
        NumPyNumbers(Fraction),
    )
    assert [v.item() for v in found] == [2**82, (2**40 + 8) ** 2, 2**63, 3]
