"""Brackets of jets against exact brackets; counts against the theorems."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import gram_difference_rank, widths

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.algebra.finite_field import rank
from conslaw.algebra.jets import Jets
from conslaw.algebra.polynomials import derivatives, evaluate_mod
from conslaw.laws.brackets import RandomField, as_rows, nested_bracket
from conslaw.laws.lie import random_point

PRIME = 2**31 - 1


def gradient_count(model):
    return conslaw.count(conslaw.gradient_flow(model)).laws_at_most


def factorisation(n, m, r):
    return conslaw.linear([m, r, n])


# brackets


def flat(flow, value, count=1):
    return as_rows(flow, value, count).astype(object)


@pytest.mark.parametrize(
    "model",
    [conslaw.linear([2, 2, 2]), conslaw.relu([2, 2, 1], bias=True), conslaw.linear([1, 2, 2, 1])],
    ids=lambda m: m.name,
)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_brackets_of_jets_are_brackets_of_exact_polynomials(model, depth):
    flow, rng = conslaw.gradient_flow(model), np.random.default_rng(3)
    fields = [RandomField(flow, 1, rng, PRIME) for _ in range(depth)]
    point = random_point(flow, rng, PRIME)
    ours = flat(flow, nested_bracket(fields, point, Jets(PRIME), 1))[0]

    symbols = {
        n: np.array(sympy.symbols(f"{n}_:{int(np.prod(s))}"), dtype=object).reshape(s)
        for n, s in flow.state.items()
    }
    theta = [s for array in symbols.values() for s in array.ravel()]
    exact = []
    for field in fields:
        data = {
            n: np.vectorize(sympy.Integer, otypes=[object])(x[0][0].astype(object))
            for n, x in field.data.items()
        }
        values = evaluate(list(flow.fields[0].values()), {**symbols, **data}, NumPyNumbers(sympy.Rational))
        exact.append(sympy.Matrix([sympy.expand(e) for v in values for e in np.ravel(v)]))
    bracket = exact[-1]
    for x in reversed(exact[:-1]):
        bracket = (bracket.jacobian(theta) * x - x.jacobian(theta) * bracket).applyfunc(sympy.expand)
    at = dict(zip(theta, map(int, flat(flow, point)[0]), strict=True))
    assert [int(v) for v in ours] == [int(sympy.Integer(e.subs(at)) % PRIME) for e in bracket]


@given(widths(1, 4, (2, 4), 60), st.booleans(), st.integers(0, 2**32))
def test_antisymmetry_and_jacobi(sizes, bias, seed):
    flow, rng = conslaw.gradient_flow(conslaw.relu(sizes, bias=bias)), np.random.default_rng(seed)
    x, y, z = (RandomField(flow, 3, rng, PRIME) for _ in range(3))
    point = random_point(flow, rng, PRIME)

    def bracket(*fields):
        return flat(flow, nested_bracket(fields, point, Jets(PRIME), 1), 3)

    assert not ((bracket(x, y) + bracket(y, x)) % PRIME).any()
    assert not ((bracket(x, y, z) + bracket(y, z, x) + bracket(z, x, y)) % PRIME).any()


def test_laws_are_orthogonal_to_every_bracket():
    """A law's gradient kills the whole trace, however deep: the definition of the upper bound."""
    from conslaw.laws.brackets import trace_samples

    flow, rng = conslaw.gradient_flow(conslaw.linear([2, 3, 2])), np.random.default_rng(5)
    point = random_point(flow, rng, PRIME)
    laws = conslaw.polynomial_laws(flow).polynomials
    gradients = evaluate_mod(
        derivatives(laws, flow.dimension), flat(flow, point)[0].astype(np.uint64), PRIME
    ).astype(object)
    for depth in (1, 2, 3, 4):
        samples = trace_samples(flow, point, depth, 5, rng, PRIME).astype(object)
        assert samples.any()
        assert not ((gradients @ samples.T) % PRIME).any()


# counts: [MGP23, Propositions 4.2 and 4.3], and [MGP25] for the building blocks of transformers


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 8))
def test_matrix_factorisation(n, m, r):
    rho = min(r, n + m)
    expected = 2 * r - 1 if n == m == 1 else rho * (2 * r + 1 - rho) // 2
    assert gradient_count(factorisation(n, m, r)) == expected


@given(widths(2, 5, (2, 4)))
def test_deep_linear(sizes):
    assert gradient_count(conslaw.linear(sizes)) == gram_difference_rank(sizes)


@given(widths(1, 6, (2, 4)), st.booleans())
def test_deep_relu(sizes, bias):
    assert gradient_count(conslaw.relu(sizes, bias=bias)) == sum(sizes[1:-1])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_monomials(exponents):
    def potential(p, c):
        value = 1
        for i, a in enumerate(exponents):
            value = value * p.x[i] ** a
        return value

    assert gradient_count(conslaw.model(potential, parameters={"x": (len(exponents),)})) == len(exponents) - 1


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_attention_head(d, dim, inputs):
    """Entries of Q Q^T - K K^T and V V^T - O O^T, Q, K, V, O (d, dim): each pair is a factorisation."""
    dim = max(dim, 2) if d == 1 else dim
    model = conslaw.model(
        lambda p, c: c.x @ p.Q.T @ p.K @ c.y + c.z @ p.V.T @ p.O @ c.w,
        parameters=dict.fromkeys("QKVO", (d, dim)),
        data=dict.fromkeys("xyzw", (dim,)),
    )
    one = gradient_count(conslaw.linear([dim, d, dim]))
    rho = min(d, 2 * dim)
    expected = rho * (2 * d + 1 - rho) if dim > 1 else 2 * (2 * d - 1)
    assert gradient_count(model) == expected == 2 * one


def test_softmax_layer_conserves_column_sums():
    """Cross-entropy moves each column of theta by a vector of sum zero."""
    n, m = 4, 3
    model = conslaw.model(
        lambda p, c: (c.g @ p.theta - c.g.sum() / n * p.theta.sum(axis=0)) @ c.x,
        parameters={"theta": (n, m)},
        data={"g": (n,), "x": (m,)},
    )
    assert gradient_count(model) == m


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(2, 3))
def test_polynomial_units(inputs, units, outputs, power):
    """z**r between two layers: ||w_in||^2 - r ||w_out||^2 is conserved for each hidden unit."""
    model = conslaw.model(
        lambda p, c: c.v @ (p.V @ (p.U @ c.x) ** power),
        parameters={"U": (units, inputs), "V": (outputs, units)},
        data={"x": (inputs,), "v": (outputs,)},
    )
    analysis = conslaw.analyze(conslaw.gradient_flow(model))
    u, v = sympy.IndexedBase("U"), sympy.IndexedBase("V")
    known = [
        sum(u[k, i] ** 2 for i in range(inputs)) - power * sum(v[j, k] ** 2 for j in range(outputs))
        for k in range(units)
    ]
    quadratic = analysis.polynomial_laws.expressions()
    symbols = [u[k, i] for k in range(units) for i in range(inputs)] + [
        v[j, k] for j in range(outputs) for k in range(units)
    ]
    monomials = [sympy.Poly(e, *symbols).as_dict() for e in (*quadratic, *known)]
    keys = sorted({m for p in monomials for m in p})
    rows = sympy.Matrix([[p.get(m, 0) for m in keys] for p in monomials])
    assert rows.rank() == rows[: len(quadratic), :].rank()  # the known laws lie in the span of those found
    assert units <= analysis.laws_found <= analysis.laws_at_most


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_relu_convolution_block(c0, c1, c2, width):
    """Two 1-D convolutions with a ReLU between: one law for each hidden channel, a difference of Frobenius
    norms [MGP25].
    """
    long = 2 * width + 1
    inner = long - width + 1

    def convolve(kernel, x, length):
        return sum(kernel[:, :, k] @ x[:, k : k + length] for k in range(width))

    model = conslaw.model(
        lambda p, c: (c.v * convolve(p.K2, c.g * convolve(p.K1, c.x, inner), inner - width + 1)).sum(),
        parameters={"K1": (c1, c0, width), "K2": (c2, c1, width)},
        data={"x": (c0, long), "g": (c1, inner), "v": (c2, inner - width + 1)},
    )
    analysis = conslaw.analyze(conslaw.gradient_flow(model))
    first, second = sympy.IndexedBase("K1"), sympy.IndexedBase("K2")
    known = {
        sum(first[c, i, k] ** 2 for i in range(c0) for k in range(width))
        - sum(second[o, c, k] ** 2 for o in range(c2) for k in range(width))
        for c in range(c1)
    }
    assert (analysis.laws_at_most, analysis.laws_found, set(analysis.laws)) == (c1, c1, known)


@given(widths(1, 4, (2, 3), 40), st.booleans())
def test_a_residual_connection_changes_nothing(sizes, relu):
    """x + g(x) has the laws of g."""
    model = (conslaw.relu if relu else conslaw.linear)([*sizes[:-1], sizes[0]])

    def potential(p, c):
        h = c.x
        for layer in range(1, len(sizes)):
            h = p[f"W{layer}"] @ h
            if relu and layer < len(sizes) - 1:
                h = c[f"g{layer}"] * h
        return c.v @ (c.x + h)

    residual = conslaw.model(potential, parameters=model.parameters, data=model.data)
    ours, plain = (conslaw.analyze(conslaw.gradient_flow(m)) for m in (residual, model))
    assert (ours.laws_at_most, ours.laws) == (plain.laws_at_most, plain.laws)


# counts that must not change


@given(widths(1, 5, (2, 4)), st.booleans())
def test_reversing_the_widths(sizes, relu):
    family = conslaw.relu if relu else conslaw.linear
    assert gradient_count(family(sizes)) == gradient_count(family(sizes[::-1]))


@given(widths(1, 4, (2, 3), 60), st.booleans(), st.booleans())
def test_an_output_bias_changes_nothing(sizes, relu, bias):
    model = (conslaw.relu if relu else conslaw.linear)(sizes, bias=bias)

    def potential(p, c):
        value = c.x
        for layer in range(1, len(sizes)):
            value = p[f"W{layer}"] @ value
            if f"b{layer}" in p:
                value = value + (c[f"gamma{layer}"] if relu else 1) * p[f"b{layer}"]
            if relu and layer < len(sizes) - 1:
                value = c[f"g{layer}"] * value
        return c.v @ (value + p.output_bias)

    more = conslaw.model(
        potential, parameters={**model.parameters, "output_bias": (sizes[-1],)}, data=model.data
    )
    assert gradient_count(more) == gradient_count(model)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_a_hidden_bias_is_one_more_input(inputs, hidden, outputs):
    biased = conslaw.linear([inputs, hidden, outputs], bias=True)
    assert gradient_count(biased) == gradient_count(conslaw.linear([inputs + 1, hidden, outputs]))


@given(widths(1, 4, (2, 2), 60), st.integers(0, 2**32), st.fractions(-5, 5, max_denominator=7).filter(bool))
def test_renaming_permuting_and_scaling(sizes, seed, scale):
    d0, d1, d2 = sizes
    order = np.random.default_rng(seed).permutation(d1)
    shapes = {"second": (d2, d1), "first": (d1, d0)}
    model = conslaw.model(
        lambda p, c: c.v @ (scale * p.second[:, order]) @ (p.first[order] @ c.x),
        parameters=shapes,
        data={"x": (d0,), "v": (d2,)},
    )
    assert gradient_count(model) == gradient_count(conslaw.linear(sizes))


@given(widths(1, 4, (2, 3), 60))
def test_a_parameter_that_is_not_used_is_conserved(sizes):
    model = conslaw.linear(sizes)
    both = conslaw.model(
        lambda p, c: c.v @ _product(p, c.x, len(sizes)),
        parameters={**model.parameters, "idle": (2,)},
        data=model.data,
    )
    assert gradient_count(both) == gradient_count(model) + 2


def _product(p, h, layers):
    for layer in range(1, layers):
        h = p[f"W{layer}"] @ h
    return h


# primes, seeds, points


def test_two_primes_and_a_stated_probability():
    result = conslaw.count(conslaw.gradient_flow(conslaw.linear([4, 3, 4])))
    assert len(set(result.primes)) == 2
    assert 0 < result.error_probability < 1e-9


def test_the_stated_probability_covers_rational_coefficients():
    """A sum of 40 fractions with different prime denominators has a numerator of 40 * 31 bits, and so many
    primes may divide it.
    """
    primes = [sympy.prevprime(2**31 - 1000 * i) for i in range(40)]
    model = conslaw.model(
        lambda p, c: c.d * sum(Fraction(1, int(q)) * p.x[i] for i, q in enumerate(primes)).sum(),
        parameters={"x": (40,)},
        data={"d": ()},
    )
    whole = conslaw.model(lambda p, c: c.d * p.x.sum(), parameters={"x": (40,)}, data={"d": ()})
    fractions, integers = (
        conslaw.lie_ranks(conslaw.gradient_flow(m)).error_probability for m in (model, whole)
    )
    assert fractions > integers + 40 * 30 / 30 / 50_697_537


def test_a_random_prime_that_divides_a_denominator_is_drawn_again():
    first = conslaw.lie_ranks(conslaw.gradient_flow(conslaw.linear([1, 1])), seed=3).prime
    model = conslaw.model(lambda p, c: c.d * Fraction(1, first) * p.x, parameters={"x": ()}, data={"d": ()})
    again = conslaw.lie_ranks(conslaw.gradient_flow(model), seed=3)
    assert again.prime != first
    assert again.ranks == (1,)
    with pytest.raises(conslaw.ConslawError, match="divides by zero"):
        conslaw.count(conslaw.gradient_flow(model), prime=first)


def test_brackets_without_end_are_cut_off_honestly():
    """a x_0 + b sum x_i x_{i+1} gains one rank with each bracket; after 14 the bound is true, and nothing is
    said of equality.
    """
    chain = conslaw.model(
        lambda p, c: c.a * p.x[0] + c.b * (p.x[:-1] * p.x[1:]).sum(),
        parameters={"x": (18,)},
        data={"a": (), "b": ()},
    )
    result = conslaw.lie_ranks(conslaw.gradient_flow(chain))
    assert result.laws_at_most == 18 - result.ranks[-1]
    assert (len(result.ranks), result.error_probability) == (14, None)


def test_a_seed_reproduces_a_run_and_others_agree():
    flow = conslaw.gradient_flow(conslaw.relu([3, 4, 2], bias=True))
    runs = [conslaw.lie_ranks(flow, seed=s) for s in (0, 0, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].prime != runs[2].prime
    assert len({run.ranks for run in runs}) == 1


@pytest.mark.parametrize("prime", [2**31 - 1, 1048583])
def test_the_prime_can_be_chosen(prime):
    result = conslaw.count(conslaw.gradient_flow(conslaw.linear([3, 2, 4])), prime=prime)
    assert (result.primes, result.laws_at_most, result.error_probability) == ((prime,), 3, None)


def test_bad_primes_seeds_and_points_survive():
    flow = conslaw.gradient_flow(conslaw.linear([2, 2]))
    for prime in (2**31 - 3, 91, 0):
        with pytest.raises(conslaw.ConslawError, match=f"prime={prime}"):
            conslaw.count(flow, prime=prime)
    with pytest.raises(conslaw.ConslawError, match="seed=-1"):
        conslaw.count(flow, seed=-1)
    for point, message in [
        ({}, "the state has"),
        (5, "give a mapping"),
        ({"W1": [[1, 2], [3]]}, "ragged"),
        ({"W1": [1]}, "shape"),
        ({"W1": [[float("nan"), 1], [1, 1]]}, "not exact"),
        ({"W1": [["a", 1], [1, 1]]}, "not exact"),
    ]:
        with pytest.raises(conslaw.ConslawError, match=message):
            conslaw.count(flow, point=point)


def test_numbers_of_laws_and_ranks_that_are_none_are_refused():
    for bad in ("a", -1, 1.5, True):
        with pytest.raises(conslaw.ConslawError, match=r"most=.*give an integer"):
            conslaw.lie_ranks(conslaw.linear([2, 2]), most=bad)
        with pytest.raises(conslaw.ConslawError, match=r"laws=.*give an integer"):
            conslaw.lie_ranks(conslaw.linear([2, 2]), laws=bad)


def special():
    """phi = (x, y + x**3 z): generic ranks 2, 3; at the origin 2, 2, 2, 3."""
    return conslaw.gradient_flow(
        conslaw.model(
            lambda p, c: c.a * p.x + c.b * (p.y + p.x**3 * p.z),
            parameters={"x": (), "y": (), "z": ()},
            data={"a": (), "b": ()},
        )
    )


def test_the_stopping_rule_needs_a_generic_point():
    origin = conslaw.lie_ranks(special(), point={"x": 0, "y": 0, "z": 0})
    assert (conslaw.lie_ranks(special()).ranks, origin.ranks, origin.generic) == ((2, 3), (2, 2, 2, 3), False)
    elsewhere = conslaw.count(special(), point={"x": Fraction(1, 3), "y": 0, "z": 2})
    assert (elsewhere.lie_ranks, elsewhere.generic, elsewhere.error_probability) == ((2, 3), False, None)
    assert "at the given point only" in repr(elsewhere)


@given(widths(1, 4, (2, 2), 40), st.integers(0, 2**32))
def test_at_a_point_the_rank_is_at_most_generic(sizes, seed):
    flow, rng = conslaw.gradient_flow(conslaw.linear(sizes)), np.random.default_rng(seed)
    point = {n: rng.integers(-1, 2, s) for n, s in flow.state.items()}
    assert conslaw.count(flow, point=point).laws_at_most >= conslaw.count(flow).laws_at_most


def test_zero_weights_have_rank_zero():
    flow = conslaw.gradient_flow(conslaw.linear([2, 2, 2]))
    zero = {n: np.zeros(s, dtype=int) for n, s in flow.state.items()}
    assert conslaw.count(flow, point=zero).laws_at_most == 8


def test_the_rank_of_the_first_depth_is_the_rank_of_the_parametrisation():
    """W_phi itself: the rank of the Jacobian of the coefficient map, by exact differentiation."""
    for model in (conslaw.linear([3, 2, 4]), conslaw.relu([2, 3, 2], bias=True)):
        flow = conslaw.gradient_flow(model)
        from conslaw.laws.exact_fields import exact_fields

        [field], _ = exact_fields(flow)
        n = flow.dimension
        data = [tuple(v for v in row if v > n) for row in field.monomial.tolist()]
        components = {d: i for i, d in enumerate(dict.fromkeys(data))}
        point = np.random.default_rng(0).integers(1, 99, n, dtype=np.uint64)
        table = np.concatenate([[1], point, np.ones(field.monomial.max() - n, dtype=np.uint64)]).astype(
            np.uint64
        )
        jacobian = np.zeros((len(components), n), dtype=np.uint64)
        for e, row, d, c in zip(field.entry, field.monomial, data, field.coefficient, strict=True):
            jacobian[components[d], e] += np.uint64(c) * table[row].prod()
        assert conslaw.lie_ranks(flow).ranks[0] == rank(jacobian % PRIME, PRIME)


def test_depth_one_network_has_no_laws():
    for sizes in ([1, 1], [3, 2]):
        for family in (conslaw.linear, conslaw.relu):
            result = conslaw.analyze(conslaw.gradient_flow(family(sizes)))
            assert (result.laws_at_most, result.laws_found, result.complete, result.laws) == (0, 0, True, ())
