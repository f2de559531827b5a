"""Laws in matrix notation: the forms of the papers, found for models that carry no family's name."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import widths

import conslaw
from conslaw.laws.matrix_notation import law_families


def anonymous(model):
    """The same potential and metric as a user would write it down: no name, no arguments."""
    return conslaw.Model("mine", model.parameters, model.data, model.potential, {}, model.metric)


G, M = conslaw.gradient_flow, conslaw.momentum_flow
FORMS = {
    "linear": (G(anonymous(conslaw.linear([3, 2, 4]))), {"W1 W1ᵀ − W2ᵀ W2": 3}),
    "deep linear": (G(anonymous(conslaw.linear([2, 3, 2, 2]))), {"W1 W1ᵀ − W2ᵀ W2": 6, "W2 W2ᵀ − W3ᵀ W3": 3}),
    "equal widths": (G(conslaw.linear([2, 2, 2, 2])), {"W1 W1ᵀ − W2ᵀ W2": 3, "W2 W2ᵀ − W3ᵀ W3": 3}),
    "hidden bias": (G(conslaw.linear([2, 2, 2], bias=True)), {"W1 W1ᵀ + b1 b1ᵀ − W2ᵀ W2": 3}),
    "relu": (G(anonymous(conslaw.relu([3, 5, 2], bias=True))), {"‖W1[k,:]‖² + b1[k]² − ‖W2[:,k]‖²": 5}),
    "nmf": (G(anonymous(conslaw.nmf([2, 3, 4]))), {"ΣU[:,k] − ΣV[k,:]": 3}),
    "icnn": (G(conslaw.icnn([2, 3, 2], bias=True)), {"2 ΣU[:,k] − ‖V[k,:]‖² − b[k]²": 3}),
    "decay": (G(conslaw.linear([2, 2, 2]), weight_decay=1), {"exp(2*t) (W1 W1ᵀ − W2ᵀ W2)": 3}),
    "rates": (G(conslaw.linear([2, 2, 2]), metric={"W1": "1/10"}), {"10 W1 W1ᵀ − W2ᵀ W2": 3}),
    "momentum": (M(anonymous(conslaw.linear([2, 3, 2]))), {"W1 Ẇ1ᵀ − Ẇ1 W1ᵀ + W2ᵀ Ẇ2 − Ẇ2ᵀ W2": 3}),
    "damped": (
        M(conslaw.linear([2, 3, 2]), damping="1/2"),
        {"exp(t/2) (W1 Ẇ1ᵀ − Ẇ1 W1ᵀ + W2ᵀ Ẇ2 − Ẇ2ᵀ W2)": 3},
    ),
    "nesterov": (
        M(conslaw.linear([2, 2, 2]), damping="nesterov"),
        {"t**3 (W1 Ẇ1ᵀ − Ẇ1 W1ᵀ + W2ᵀ Ẇ2 − Ẇ2ᵀ W2)": 1},
    ),
    "unlike shapes": (
        G(
            conslaw.model(
                lambda p, c: c.x @ (p.A.reshape(-1) + p.B.reshape(-1)),
                parameters={"A": (1, 2), "B": (2, 1)},
                data={"x": (2,)},
            )
        ),
        {"ΣA[:,k] − ΣB[k,:]": 2},  # and not "A − B"
    ),
    "idle": (
        G(conslaw.model(lambda p, c: p.a * p.b, parameters={"a": (), "b": (), "idle": (3,)})),
        {"idle": 3, "a² − b²": 1},
    ),
    "attention": (
        G(
            conslaw.model(
                lambda p, c: c.x @ p.Q.T @ p.K @ c.y + c.z @ p.V.T @ p.O @ c.w,
                parameters=dict.fromkeys("QKVO", (2, 3)),
                data=dict.fromkeys("xyzw", (3,)),
            )
        ),
        {"Q Qᵀ − K Kᵀ": 3, "V Vᵀ − O Oᵀ": 3},
    ),
    "cubic units": (
        G(
            conslaw.model(
                lambda p, c: c.v @ (p.V @ (p.U @ c.x) ** 3),
                parameters={"U": (2, 2), "V": (2, 2)},
                data={"x": (2,), "v": (2,)},
            )
        ),
        {"‖U[k,:]‖² − 3 ‖V[:,k]‖²": 2},
    ),
    "tensors": (
        G(
            conslaw.model(
                lambda p, c: np.einsum("ack,cbl,ckl,a,b->", p.second, p.first, c.g, c.v, c.x),
                parameters={"first": (3, 2, 2), "second": (2, 3, 2)},
                data={"v": (2,), "g": (3, 2, 2), "x": (2,)},
            )
        ),
        {"‖first[k,:,:]‖² − ‖second[:,k,:]‖²": 3},
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_known_forms(case):
    flow, expected = FORMS[case]
    analysis = conslaw.analyze(flow)
    assert {family.text: family.laws for family in analysis.law_families} == expected
    for family in analysis.law_families:
        assert family.text in repr(analysis)
        assert family.latex in analysis._repr_html_()


@given(widths(1, 4, (2, 3), 40), st.booleans(), st.booleans(), st.booleans())
def test_families_and_what_is_left_span_the_laws(sizes, relu, bias, momentum):
    model = (conslaw.relu if relu else conslaw.linear)(sizes, bias=bias)
    flow = M(model, damping=1) if momentum else G(model)
    laws = conslaw.polynomial_laws(flow)
    families, left = law_families(flow, laws.polynomials)
    assert sum(family.laws for family in families) + len(left) == len(laws)
    if not momentum and min(sizes) > 1:
        assert not left


def test_what_has_no_form_stays_a_polynomial():
    """Under momentum, n = m = 1 conserves more than the skew family: U V' - V U' crosses two arrays."""
    analysis = conslaw.analyze(M(conslaw.linear([1, 3, 1])))
    [family] = analysis.law_families
    assert (family.kind, family.size, family.laws) == ("skew", 3, 3)
    assert len(analysis.laws) == 6
    assert analysis.complete


def heads(number, size, width):
    """Attention with the heads as one axis of each array."""
    return conslaw.model(
        lambda p, c: (
            np.einsum("hij,hik,hj,hk->", p.Q, p.K, c.x, c.y)
            + np.einsum("hij,hik,hj,hk->", p.V, p.O, c.z, c.w)
        ),
        parameters=dict.fromkeys("QKVO", (number, size, width)),
        data=dict.fromkeys("xyzw", (number, width)),
    )


@pytest.mark.parametrize(
    ("flow", "laws"),
    [
        (conslaw.gradient_flow(heads(3, 2, 5)), 2 * 3 * 3),
        (conslaw.momentum_flow(heads(3, 2, 2)), 2 * 3 * 1),
    ],
)
def test_each_head_has_its_laws(flow, laws):
    analysis = conslaw.analyze(flow, ansatz="matrix")
    assert (analysis.laws_found, analysis.laws_at_most) == (laws, laws)
    assert [family.each for family in analysis.law_families] == [3, 3]
    assert "Q[h]" in str(analysis)
    assert "h = 0…2" in str(analysis)
    assert conslaw.verify(analysis.certificate()).ok
    first = analysis.law_families[0]
    entries = first.law(2, 0, 1).atoms(sympy.Indexed)
    assert len({str(s.base) for s in entries}) > 1
    assert {s.indices[0] for s in entries} == {2}


def test_products_of_arrays_that_belong_together():
    """A diagonal network u**2 - v**2 conserves u v, entry by entry; other powers have no such law."""
    model = conslaw.model(
        lambda p, c: c.x @ (p.u**2 - p.k**2), parameters={"u": (40,), "k": (40,)}, data={"x": (40,)}
    )
    analysis = conslaw.analyze(conslaw.gradient_flow(model), ansatz="matrix")
    assert [str(family) for family in analysis.law_families] == ["u[i] k[i]   i = 0…39, 40 laws"]
    assert conslaw.verify(analysis.certificate()).ok
    cubes = conslaw.model(
        lambda p, c: c.x @ (p.u**3 - p.v**3), parameters={"u": (3,), "v": (3,)}, data={"x": (3,)}
    )
    assert conslaw.analyze(conslaw.gradient_flow(cubes), ansatz="matrix").laws_found == 0


def test_biases_of_heads_stand_beside_their_arrays():
    """Q Qᵀ + b bᵀ − K Kᵀ in each head: a bias is a column more."""
    model = conslaw.model(
        lambda p, c: ((np.einsum("hij,hj->hi", p.Q, c.x) + p.b) * np.einsum("hij,hj->hi", p.K, c.y)).sum(),
        parameters={"Q": (3, 2, 4), "K": (3, 2, 5), "b": (3, 2)},
        data={"x": (3, 4), "y": (3, 5)},
    )
    analysis = conslaw.analyze(conslaw.gradient_flow(model), ansatz="matrix")
    assert (analysis.laws_found, analysis.laws_at_most) == (9, 9)
    assert analysis.law_families[0].text == "Q[h] Q[h]ᵀ − K[h] K[h]ᵀ + b[h] b[h]ᵀ"
    assert conslaw.verify(analysis.certificate()).ok
