"""Is this one of mine?  What the user asks about is decided, and each *no* has a witness to check."""

import json
import os
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import conslaw
from conslaw.algebra.expressions import input_array
from conslaw.laws import own_quantity
from conslaw.laws.candidates import candidates
from conslaw.laws.combination_of_laws import is_combination_of_laws
from conslaw.laws.matrix_ansatz import combinations_of_windows
from conslaw.laws.quantity import Quantity

MANY = 100 if os.environ.get("THOROUGH") else 5
NET = conslaw.linear([3, 2, 4])
WIDTHS = st.lists(st.integers(1, 3), min_size=3, max_size=4)
FLOWS = st.sampled_from(
    [
        conslaw.gradient_flow,
        lambda net: conslaw.gradient_flow(net, weight_decay="1/3"),
        conslaw.momentum_flow,
        lambda net: conslaw.momentum_flow(net, damping="1/2"),
        lambda net: conslaw.momentum_flow(net, damping="nesterov"),
    ]
)


@settings(max_examples=MANY, deadline=None)
@given(widths=WIDTHS, flow=FLOWS, seed=st.integers(0, 100))
def test_every_law_that_is_found_is_proved_and_none_with_a_square_more(widths, flow, seed):
    flow = flow(conslaw.linear(widths))
    found = conslaw.polynomial_laws(flow)
    rng = np.random.default_rng(seed)
    for law, text in list(zip(found.expressions(), found.strings(), strict=True))[:4]:
        for quantity in (law, text, 3 * law**2 - law / 7):
            answer = conslaw.is_conserved(flow, quantity)
            assert answer.conserved
            assert answer.proved
    some = flow.coordinates[int(rng.integers(1, len(flow.coordinates)))].symbol()
    moved = sum(found.expressions(), 0 * some) + some**2
    assert not conslaw.is_conserved(flow, moved).conserved


def velocity_of(text, w, widths):
    """dh/dt of a quantity along the gradient flow of v (W2 W1 x), by SymPy."""
    arrays = {n: x.tolist() for n, x in {**w.point, **w.data}.items()}
    names = {n: sympy.MatrixSymbol(n, *s) for n, s in {"W1": widths[1::-1], "W2": widths[:0:-1]}.items()}
    symbols = {n: sympy.Matrix(x) for n, x in names.items()}
    x, v = sympy.Matrix(arrays["x"]), sympy.Matrix([arrays["v"]])
    potential = (v * symbols["W2"] * symbols["W1"] * x)[0]
    h = conslaw.parse_law(text).subs(
        {
            sympy.IndexedBase(n)[i, j]: m[i, j]
            for n, m in symbols.items()
            for i in range(m.rows)
            for j in range(m.cols)
        }
    )
    rate = sum(-sympy.diff(h, e) * sympy.diff(potential, e) for m in symbols.values() for e in m)
    point = {
        m[i, j]: arrays[n][i][j] for n, m in symbols.items() for i in range(m.rows) for j in range(m.cols)
    }
    return sympy.Rational(rate.subs(point))


@pytest.mark.parametrize(
    "text", ["W1[0,0]**2", "W1[0,0]*W2[1,0] + 5", "W1[1,1]/(W2[0,0] + W1[0,1]**2)", "W2[0,1]**3/7"]
)
def test_a_witness_is_what_another_computer_algebra_system_finds_there(text):
    answer = conslaw.is_conserved(conslaw.linear([2, 2, 2]), text)
    assert not answer
    assert answer.proved == {"conserved": False}
    assert isinstance(answer.witness.velocity, Fraction)
    # the flow goes along plus or minus the gradient, as data may have either sign
    assert abs(velocity_of(text, answer.witness, [2, 2, 2])) == abs(answer.witness.velocity) != 0


CODE = {
    "gram": (lambda z: z.W1 @ z.W1.T - z.W2.T @ z.W2, True),
    "norms": (lambda z: (z.W1**2).sum() - (z.W2**2).sum(), True),
    "power": (lambda z: ((z.W1**2).sum() - (z.W2**2).sum()) ** 2, True),
    "trace of a product": (
        lambda z: np.trace((z.W1 @ z.W1.T - z.W2.T @ z.W2) @ (z.W1 @ z.W1.T - z.W2.T @ z.W2)),
        True,
    ),
    "a row": (lambda z: (z.W1 @ z.W1.T - z.W2.T @ z.W2)[0], True),
    "sum of all": (lambda z: z.W1.sum(), False),
    "mean": (lambda z: (z.W1**2).mean() - (z.W2**2).mean(), None),  # only if there are as many rows
    "wrong factor": (lambda z: (z.W1**2).sum() - 2 * (z.W2**2).sum(), False),
    "transposed": (lambda z: z.W1.T @ z.W1 - z.W2 @ z.W2.T, False),
    "quotient": (lambda z: (z.W1**2).sum() / (z.W2**2).sum(), False),
}


@pytest.mark.parametrize("name", CODE)
@pytest.mark.parametrize("widths", [[2, 2, 2], [5, 3, 5], [12, 12, 12], [20, 50, 20]])
def test_the_answer_does_not_depend_on_the_width(name, widths):
    code, conserved = CODE[name]
    answer = conslaw.is_conserved(conslaw.linear(widths), code)
    assert answer.conserved == (widths[0] == widths[2] if conserved is None else conserved)
    assert answer.conserved or answer.witness.velocity


def test_large_and_deep_networks_are_proved_without_writing_them_out():
    for net in (conslaw.linear([500, 400, 500]), conslaw.linear([50] * 12)):
        answer = conslaw.is_conserved(net, lambda z: z.W1 @ z.W1.T - z.W2.T @ z.W2)
        assert answer.proved == {"conserved": True}
        assert "few neurons" in answer.how
    relu = conslaw.is_conserved(conslaw.relu([784, 100, 10]), "W1 W1ᵀ − W2ᵀ W2")
    assert not relu  # of a ReLU network only the diagonal is
    assert "read as free data" in str(relu) or relu.witness


@settings(max_examples=MANY, deadline=None)
@given(widths=st.lists(st.integers(1, 3), min_size=3, max_size=3), flow=FLOWS, seed=st.integers(0, 100))
def test_combinations_of_laws_are_told_from_others(widths, flow, seed):
    """Each of three proofs says yes to laws alone: the first writes out what the others do not."""
    flow, rng = flow(conslaw.linear(widths)), np.random.default_rng(seed)
    z = {n: input_array(n, s) for n, s in flow.state.items()}
    some = [c.entry(z, [int(rng.integers(n)) for n in c.array(z).shape]) for c in candidates(flow)]
    power = z["time"] ** flow.time_degree if flow.time else 1
    for _ in range(3):
        picked = rng.choice(len(some), size=min(3, len(some)), replace=False).tolist()
        value = power * sum(int(rng.integers(-2, 3)) * some[i] for i in picked) + 0 * power * some[0]
        assert not is_combination_of_laws(flow, value) or own_quantity.vanishes(flow, value)
    for law in combinations_of_windows(flow)[:6]:
        array = law.timed(law.array(z)).reshape(-1)
        mixed = sum(int(rng.integers(-2, 3)) * array[i] for i in range(min(4, array.size))) + 7
        assert is_combination_of_laws(flow, mixed)
        assert own_quantity.vanishes(flow, mixed)


def test_single_entries_in_a_network_of_millions_of_parameters_are_proved():
    net = conslaw.linear([1000, 1000, 1000])
    yes = conslaw.is_conserved(net, lambda z: z.W1[0] @ z.W1[1] - z.W2[:, 0] @ z.W2[:, 1])
    assert yes.proved == {"conserved": True}
    no = conslaw.is_conserved(net, lambda z: z.W1[0] @ z.W1[1] - z.W2[:, 0] @ z.W2[:, 2])
    assert no.proved == {"conserved": False}
    assert 0 < no.witness.velocity < no.witness.prime


def test_what_no_proof_reaches_is_only_probable(monkeypatch):
    monkeypatch.setattr(own_quantity, "PROOFS", [])
    answer = conslaw.is_conserved(NET, "W1 W1ᵀ − W2ᵀ W2")
    assert answer.conserved
    assert not answer.proved
    assert 0 < answer.probable["error_probability"] < 1e-12
    assert "except with probability" in str(answer)
    assert conslaw.load(answer.to_json()).probable == answer.probable


x, y = sympy.symbols("x y")
RADIAL = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="radial")
MOMENTUM = conslaw.momentum_flow(conslaw.linear([2, 2, 2]), damping="1/2")
YES = [  # as a user would type it
    (RADIAL, "y/x"),
    (RADIAL, y**2 / x**2 - 3),
    (RADIAL, lambda z: z.x / z.y),
    (conslaw.linear([1, 1, 1]), "(W1[0,0]**2 - W2[0,0]**2)**3/(1 + W1[0,0]**2 - W2[0,0]**2)"),
    (conslaw.linear([3, 2, 4], bias=True), "W1 W1ᵀ + b1 b1ᵀ − W2ᵀ W2"),
    (conslaw.relu([3, 4, 2]), lambda z: (z.W1**2).sum(axis=1) - (z.W2**2).sum(axis=0)),
    (conslaw.nmf([2, 3, 2]), lambda z: z.U.sum(axis=0) - z.V.sum(axis=1)),
    (conslaw.nmf([1, 1, 1]), "U[0,0] - V[0,0]"),
    (
        MOMENTUM,
        lambda z: z.time * (z.W1 @ z.W1_dot.T - z.W1_dot @ z.W1.T + z.W2.T @ z.W2_dot - z.W2_dot.T @ z.W2),
    ),
]


@pytest.mark.parametrize(("flow", "quantity"), YES)
def test_quantities_as_users_type_them(flow, quantity):
    answer = conslaw.is_conserved(flow, quantity)
    assert answer
    assert answer.proved
    assert len(str(answer).splitlines()) <= 4


def test_logarithms_and_families_are_quantities():
    analysis = conslaw.analyze(conslaw.nmf([1, 2, 1]))
    assert any("log" in str(law) for law in analysis.laws)
    assert all(conslaw.is_conserved(analysis.given, law).proved.get("conserved") for law in analysis.laws)
    no = conslaw.is_conserved(analysis.given, "log(U[0,0])")
    assert not no
    assert "log U" in no.witness.point
    [family] = conslaw.analyze(NET).law_families
    assert conslaw.is_conserved(NET, family).proved
    [loaded] = conslaw.load(conslaw.analyze(NET).to_json()).law_families
    assert conslaw.is_conserved(NET, loaded).proved


BAD = {
    "": "not expected",
    "W9[0,0]": "no array of the state, which has W1, W2",
    "W1[7,7]": "give one, such as",
    "W1[0,0": "not part of a law",
    "3": "does not depend on the state",
    "W1[0,0] - W1[0,0]": "does not depend on the state",
    "W1 W9ᵀ": "'W9' is no matrix",
    "W1ᵀ W2 W1": "do not match",
    "W1 W1ᵀ − W2 W2ᵀ": "shapes",
    "t*W1[0,0]": "does not depend on it",
    "exp(t)*W1[0,0]": "does not depend on it",
    "log(W1[0,0] + 1)": "logarithms are those of entries",
    "W1[0,0]**(1/2)": "powers are integers",
    "(W1[0,0] + W1[0,1])**1000000": "too many terms",
    "(W1[0,0] + W1[0,1])**1000": "products of degree",
    "2**60000*" * 1000 + "W1[0,0]": "bits is not part",
    "1/(W1[0,0] - W1[0,0])": "divides by zero",
    "__import__('os').system('true')": "not part of a law",
    "W1[0,0]**9**9**9": "not expected",
    "W1[0,0]*" * 100_000 + "1": "of a degree above",
}


@pytest.mark.parametrize("text", BAD)
def test_text_that_is_no_quantity_is_refused_in_one_line(text):
    with pytest.raises(conslaw.ConslawError, match=BAD[text]) as error:
        conslaw.is_conserved(NET, text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        (3, "give array code"),
        (None, "give array code"),
        ([1], "give array code"),
        (lambda z: 3, "does not depend on the state"),
        (lambda z: None, "array code returned"),
        (lambda z: z.Q, "declared: W1, W2"),
        (lambda z: 0.1 * z.W1, "not exact"),
        (lambda z: z.W1 @ z.W1, "do not match"),
        (lambda: 3, "quantity raised TypeError"),
        (sympy.sin(x), "'x?sin"),
        (sympy.Matrix([x]), "no scalar SymPy expression"),
        (lambda z: 1 / (z.W1[0, 0] - z.W1[0, 0]), "divides by zero"),
    ],
)
def test_what_is_no_quantity_is_refused_in_one_line(quantity, message):
    with pytest.raises(conslaw.ConslawError, match=message):
        conslaw.is_conserved(NET, quantity)
    with pytest.raises(conslaw.ConslawError, match="no flow and no model"):
        conslaw.is_conserved(3, quantity)


def test_the_answer_goes_to_json_with_its_witness():
    answer = conslaw.is_conserved(NET, "W1[0,0]**2")
    back = conslaw.load(json.dumps(answer.to_json()))
    assert back == answer
    assert back != conslaw.is_conserved(NET, "W1[0,0]**2", seed=1)
    with pytest.raises(conslaw.ConslawError, match="witness"):
        conslaw.load({**answer.to_json(), "conserved": True})


def test_entries_of_an_array_that_does_not_move_are_combinations_of_laws():
    flow = conslaw.gradient_flow(
        conslaw.model(
            lambda p, c: c.v @ (p.W @ c.x),
            parameters={"W": (2, 3), "U": (2, 2)},
            data={"x": (3,), "v": (2,)},
        )
    )
    asked = Quantity.of(flow, "3*U[0,1] - U[1,0]")
    assert is_combination_of_laws(flow, asked.value)
    assert not is_combination_of_laws(flow, Quantity.of(flow, "W[0,1] - U[1,0]").value)
