"""Quotients: what they find for flows whose laws are known, and that a higher degree only adds to it."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw.algebra.finite_field import LIFTING_PRIME, RowSpace
from conslaw.laws.curves import Terms, along_curves, monomials
from conslaw.laws.exact_fields import exact_fields

G = conslaw.gradient_flow
U, V = sympy.symbols("u1:4"), sympy.symbols("v1:4")
X, Y, Z = sympy.symbols("x y z")


def differences(power, pairs):
    """phi_i = u_i**power - v_i**power."""
    phi = [u**power - v**power for u, v in zip(U[:pairs], V[:pairs], strict=True)]
    return G(conslaw.from_sympy(phi, [*U[:pairs], *V[:pairs]]))


def conserved(law, field, variables):
    """By SymPy, with nothing of the search in it."""
    return sympy.cancel(sum(sympy.diff(law, v) * x for v, x in zip(variables, field, strict=True))) == 0


@given(st.integers(1, 5), st.integers(1, 3))
def test_differences_of_powers(power, pairs):
    """u' = u**(n-1), v' = -v**(n-1) conserves u + v, uv, and u**(2-n) + v**(2-n)."""
    enough = max(power - 2, 1) * 2
    found = []
    for degree in (1, 2, 3, 4, 6):
        analysis = conslaw.analyze(differences(power, pairs), degree=degree)
        assert analysis.laws_at_most == pairs
        assert analysis.complete == (degree >= enough or power < 3)
        for law in analysis.laws:
            for u, v in zip(U[:pairs], V[:pairs], strict=True):
                field = (u ** (power - 1), -(v ** (power - 1)))
                assert conserved(law, field, (u, v))
        found.append(analysis.laws_found)
    assert found == sorted(found)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_monomial_flows(a, b, r, s):
    """x' = r x**a, y' = s y**b: a curve in the plane, algebraic unless one exponent alone is 1 (log x + 1/y);
    derivatives of all orders are needed.
    """
    flow = conslaw.flow_from_fields([[r * X**a, s * Y**b]], [X, Y])
    analysis = conslaw.analyze(flow, degree=6)
    assert analysis.laws_at_most == 1
    assert analysis.complete == ((a == 1) == (b == 1))
    assert all(conserved(law, (r * X**a, s * Y**b), (X, Y)) for law in analysis.laws)


ONE = {"x": (), "y": ()}
RADIAL = conslaw.model(lambda p, c: (p.x**2 + p.y**2 + p.z**2) / 2, parameters={**ONE, "z": ()})
PCA = conslaw.model(lambda p, c: ((p.U @ p.U.T) * c.s).sum(), parameters={"U": (2, 4)}, data={"s": (2, 2)})
# flows, the degree of their quotients, and how many independent laws they have
KNOWN = {
    "a radial flow conserves directions": (lambda: G(RADIAL), 1, 2),
    "pca: ratios of minors": (lambda: G(PCA), 2, 4),
    "mirror z**3 of a product: 1/x - 1/y": (lambda: G(conslaw.monomial([1, 1]), metric="z**3"), 2, 1),
    "mirror z**4: 1/x**2 - 1/y**2": (lambda: G(conslaw.monomial([1, 1]), metric="z**4"), 4, 1),
    "a rational metric: y**2 + 2/x + 1/x**2": (
        lambda: G(
            conslaw.model(lambda p, c: p.x * p.y, parameters=ONE), metric=lambda z: {"x": z.x**4 / (1 + z.x)}
        ),
        4,
        1,
    ),
    "eigenvalues 1, 2, 3": (lambda: conslaw.flow_from_fields([[X, 2 * Y, 3 * Z]], [X, Y, Z]), 2, 2),
    "a tanh unit in the chart s = tanh": (
        lambda: conslaw.flow_from_fields([[X, Y * (1 - X**2) ** 2]], [Y, X]),
        4,
        1,
    ),
    "under momentum from a radial force: the angular momentum alone": (
        lambda: conslaw.momentum_flow(conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters=ONE)),
        2,
        1,
    ),
    "a drift": (lambda: conslaw.flow_from_fields([[X, Y, 0]], [X, Y, Z], drift=[0, 0, 1]), 1, 1),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_laws_are_found_and_more_degrees_lose_none(name):
    make, degree, laws = KNOWN[name]
    for more in (degree, degree + 1):
        analysis = conslaw.analyze(make(), degree=more)
        assert (analysis.laws_found, analysis.laws_at_most, analysis.complete) == (laws, laws, True)
    assert conslaw.verify(analysis.certificate()).ok


def test_each_quotient_is_independent_of_all_other_laws():
    flow = G(PCA)
    analysis = conslaw.analyze(flow)
    state = [sympy.IndexedBase("U")[i, j] for i in range(2) for j in range(4)]
    numbers = {x: sympy.Integer(n) for x, n in zip(state, (2, 3, 5, 7, 11, 13, 17, 23), strict=True)}
    jacobian = sympy.Matrix([[sympy.diff(law, x).subs(numbers) for x in state] for law in analysis.laws])
    assert jacobian.rank() == len(analysis.laws) == analysis.laws_found


def test_a_quotient_has_one_form():
    """Of P/Q, -P/Q, Q/P and -Q/P one is listed, whatever the seed and the order of the fields."""
    for scale in (1, -1, 3):
        for seed in (0, 1, 2):
            flow = conslaw.flow_from_fields([[scale * X**2, scale * Y**2]], [X, Y])
            assert conslaw.rational_laws(flow, seed=seed).strings() == ["(x - y)/(x*y)"]
    assert conslaw.rational_laws(differences(3, 1)).strings() == ["(u1 + v1)/(u1*v1)"]
    assert conslaw.rational_laws(G(RADIAL)).strings() == ["y/x", "z/x"]
    assert conslaw.rational_laws(differences(2, 1)).strings() == ["u1*v1"]  # a polynomial is one over 1


def test_the_answer_says_up_to_which_degree_quotients_were_looked_for():
    flow = conslaw.flow_from_fields([[X**3, Y**3]], [X, Y])
    assert "or as a quotient up to degree 2." in str(conslaw.analyze(flow))
    assert "or as a quotient up to degree 3." in str(conslaw.analyze(flow, degree=3))
    assert str(conslaw.analyze(flow, degree=4).laws) == "((x**2 - y**2)/(x**2*y**2),)"
    deep = G(conslaw.linear([1, 2, 2, 1]))  # 8 coordinates, 165 monomials of degree 3
    analysis = conslaw.analyze(deep, degree=3, max_unknowns=10**5)
    assert not analysis.complete
    assert "as a quotient up to degree 2." in str(analysis)
    again = type(analysis).from_json(analysis.to_json())
    assert str(again) == str(analysis)


def test_curves_stay_in_the_leaf_and_fill_it():
    """Along a curve the polynomials that vanish on its leaf vanish, and no others."""
    x, y, z = sympy.symbols("x y z")
    rotations = conslaw.flow_from_fields([[y, -x, 0], [0, z, -y]], [x, y, z])
    terms, rng = Terms.of(exact_fields(rotations)[0]), np.random.default_rng(0)
    index = monomials(3, 2)
    [series] = along_curves(terms, rng.integers(0, LIFTING_PRIME, (1, 3), dtype=np.uint64), index, rng)
    space = RowSpace.zero(len(index), LIFTING_PRIME).extend(series)
    assert space.rank == len(index) - 1  # all but x**2 + y**2 + z**2 - c
    squares = [list(index.tolist()).index([i, i]) for i in range(3)]
    assert not (series[1:, squares].sum(axis=1) % np.uint64(LIFTING_PRIME)).any()


def test_what_moves_on_its_own_is_searched_on_its_own():
    flow = differences(3, 3)
    assert [block.tolist() for block in Terms.of(exact_fields(flow)[0]).blocks()] == [[0, 3], [1, 4], [2, 5]]
    coupled = conslaw.flow_from_fields([[X, Y, 0], [0, 0, Z]], [X, Y, Z], drift=[1, 0, 0])
    assert [block.tolist() for block in Terms.of(exact_fields(coupled)[0]).blocks()] == [[0, 1], [2]]
    chain = conslaw.flow_from_fields([[-X, X - 2 * Y, 2 * Y]], [X, Y, Z])
    assert [block.tolist() for block in Terms.of(exact_fields(chain)[0]).blocks()] == [[0, 1], [0, 1, 2]]
    assert conslaw.analyze(chain).laws == (X + Y + Z, (X - Y) / X**2)


def test_where_nothing_moves_no_degree_takes_long():
    still = conslaw.model(lambda p, c: 0 * p.x + c.y, parameters={"x": ()}, data={"y": ()})
    laws = conslaw.rational_laws(still, degree=10**30)
    assert (len(laws), laws.degree) == (0, 10**30)


def test_bad_degrees_and_large_flows_are_refused():
    for degree in (0, -1, 1.5, "2", True):
        with pytest.raises(conslaw.ConslawError, match="give a positive integer"):
            conslaw.rational_laws(G(RADIAL), degree=degree)
    with pytest.raises(conslaw.ConslawError, match=r"more than 120 monomials in the 50 coordinates"):
        conslaw.rational_laws(G(conslaw.linear([5, 5, 5])))
    with pytest.raises(conslaw.ConslawError, match="more than 120 monomials in the 3 coordinates"):
        conslaw.rational_laws(G(RADIAL), degree=10**400)
    with pytest.raises(conslaw.ConslawError, match="terms"):
        conslaw.rational_laws(G(conslaw.linear([300, 300, 300])))


def test_degenerate_flows():
    for fields in ([[0, 0]], [[1, 0]]):  # coordinates at rest are polynomial laws
        assert len(conslaw.rational_laws(conslaw.flow_from_fields(fields, [X, Y]))) == 0
    assert conslaw.rational_laws(conslaw.flow_from_fields([[1, 1]], [X, Y]), degree=3).strings() == ["x - y"]
    everything = conslaw.flow_from_fields([[X, 0], [0, Y]], [X, Y])
    assert len(conslaw.rational_laws(everything, degree=4)) == 0
