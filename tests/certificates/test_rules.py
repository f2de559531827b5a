"""Each rule of the verifier against its kernel, on networks that are small enough for both."""

import os
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import array_code, widths

import conslaw
from conslaw.algebra.finite_field import LIFTING_PRIME as P
from conslaw.algebra.uniform_axes import RIGID
from conslaw.certificates import ansatz_rules, kernel
from conslaw.certificates.kernel import Polynomials, Refuted
from conslaw.certificates.reading import code
from conslaw.certificates.subject import Subject, kernel_flow, velocities_of
from conslaw.certificates.subnetworks import Characters
from conslaw.certificates.verification import verify
from conslaw.laws.colourings import colourings, splits
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.matrix_ansatz import matrix_combinations
from conslaw.laws.splitting import split_ranks
from conslaw.laws.subnetworks import split_point

G, M = conslaw.gradient_flow, conslaw.momentum_flow
MANY = settings(max_examples=300 if os.environ.get("CI") else 60)


@st.composite
def flows(draw):
    """Small networks, of the families and of random array code, under flows that can be split."""
    family = draw(st.sampled_from(["code", "code", "linear", "relu", "nmf", "icnn"]))
    if family == "code":
        model = draw(array_code())
    elif family in ("linear", "relu"):
        model = getattr(conslaw, family)(draw(widths(1, 3, (2, 3), 20)), bias=draw(st.booleans()))
    else:
        model = getattr(conslaw, family)([draw(st.integers(1, 3)) for _ in range(3)])
    metric = draw(st.sampled_from([None, {next(iter(model.parameters)): "1/3"}]))
    if draw(st.integers(0, 3)):
        return G(model, metric=metric, weight_decay=draw(st.sampled_from([0, 0, 1])))
    small = model if model.size <= 12 else conslaw.linear([2, 2, 2])
    return M(small, damping=draw(st.sampled_from([0, "1/2", "nesterov"])))


def written(flow):
    """The flow for the kernel."""
    words = {name: flow.metric_words.get(name, "euclidean") for name in flow.model.parameters}
    section = {"metric": words, "kind": flow.name, "damping": flow.damping, "weight_decay": flow.weight_decay}
    return kernel_flow(flow.model.potential, flow.model.parameters, flow.data, section)


def rank_at(flow, point, depth):
    """The rank of brackets of up to so many fields of the whole flow at a point, by the kernel."""
    rows = [kernel.elements(flow, point, d, flow.dimension + 2, P, drift=True) for d in range(1, depth + 1)]
    return kernel.rank(np.concatenate(rows), P)


@MANY
@given(flows(), st.data())
def test_splitting_symmetry_momentum_and_other_metrics(flow, data):
    """At the one point of all shapes the whole network has at least the rank its subnetworks add up to."""
    choices = [(classes, colouring) for classes in splits(flow)[:6] for colouring in colourings(classes)]
    if not choices:
        return
    classes, colouring = data.draw(st.sampled_from(choices))
    split = split_ranks(classes, colouring, seed=data.draw(st.integers(0, 9)), p=P)
    if split is None:
        return
    every = [w for w, count in colouring.items() for _ in range(count)]
    point = {name: x[0][None] for name, x in split_point(classes, every, seed=split.seed, p=P).items()}
    depth = min(len(split.ranks), 5)
    assert rank_at(written(flow), point, depth) >= split.ranks[depth - 1]


@given(flows())
def test_certificates_of_split_networks_are_verified(flow):
    """The rules accept what the search makes, and what they accept the kernel finds too, on the whole
    network.
    """
    try:
        analysis = conslaw.analyze(flow, split=True, ansatz="matrix")
    except conslaw.ConslawError:  # nothing to split
        return
    result = verify(analysis.certificate())
    assert result.ok, str(result)
    exact = conslaw.count(flow, split=False).laws_at_most
    assert analysis.laws_found <= exact <= analysis.laws_at_most


@MANY
@given(array_code(), st.data())
def test_decoupling(model, data):
    """A term whose data have indices in T alone has parameters in T alone, or two mixed ones (T any set of
    neurons).
    """
    every = IndexClasses.of(G(model))
    zero = [name for name, axes in every.state.items() if len(axes) == 1] if data.draw(st.booleans()) else []
    classes = every.without((), zero)
    arrays = {**model.parameters, **model.data}
    kinds = {**classes.state, **classes.data}
    inside = {c: np.array([data.draw(st.booleans()) for _ in range(n)]) for c, n in classes.lengths.items()}
    marks = []  # for each entry: whether some index is in T, whether some is not
    for name, shape in arrays.items():
        for index in np.ndindex(*shape):
            sides = [bool(inside[c][i]) for c, i in zip(kinds[name], index, strict=True) if c != RIGID]
            off = not all(sides)
            marks.append((off, (any(sides) and off) or (name in zero and off)))
    numbers = Polynomials(len(marks))
    [potential] = kernel.run(code(model.potential), numbers.variables(arrays), numbers)[-1:]
    size = model.size
    terms = [np.flatnonzero(m) for m in potential.item().to_dict()]
    bad = [
        term
        for term in terms
        if not any(marks[v][0] for v in term if v >= size)
        and any(marks[v][0] for v in term if v < size)
        and sum(marks[v][1] * m for v, m in zip(term, [1] * len(term), strict=True) if v < size) < 2
    ]
    repeated = [t for t in bad if _degree_of_mixed(potential.item(), t, marks, size) >= 2]
    if classes.decouples(model.potential):
        assert len(bad) == len(repeated)


def _degree_of_mixed(potential, term, marks, size):
    """The least degree in mixed entries of the monomials with these variables."""
    found = [m for m in potential.to_dict() if np.flatnonzero(m).tolist() == term.tolist()]
    return min(sum(m[v] for v in term if v < size and marks[v][1]) for m in found)


@MANY
@given(st.one_of(array_code(), widths(1, 3, (2, 3), 20).map(conslaw.linear)), st.booleans())
def test_sign_flips(model, vectors):
    """The characters that the rule reads off the code are those of the expanded potential."""
    classes = IndexClasses.of(G(model))
    signs = classes.signs(vectors=vectors)
    arrays, kinds = {**model.parameters, **model.data}, {**classes.state, **classes.data}
    colour = {c: {i: (k + i) % 5 for i in range(n)} for k, (c, n) in enumerate(classes.lengths.items())}
    characters, flat = {}, []
    for name, shape in arrays.items():
        values = np.zeros(shape, dtype=np.intp)
        for index in np.ndindex(*shape):
            turn = signs.get(name, (0,) * len(shape))
            for c, i, t in zip(kinds[name], index, turn, strict=True):
                values[index] ^= t << colour[c][i] if c != RIGID else 0
        characters[name] = values
        flat += values.reshape(-1).tolist()
    numbers = Polynomials(len(flat))
    potential = kernel.run(code(model.potential), numbers.variables(arrays), numbers)[-1].item()
    odd = any(
        np.bitwise_xor.reduce([flat[v] for v in range(len(flat)) if m[v] % 2] or [0])
        for m in potential.to_dict()
    )
    try:
        refused = kernel.run(code(model.potential), characters, Characters())[-1].max() > 0
    except Refuted:
        refused = True
    assert refused or not odd
    assert not refused  # the search has found a symmetry of the code


@MANY
@given(flows())
def test_the_matrix_ansatz(flow):
    """Families that are identities in a small network are so at the widths of the network itself."""
    whole, numbers = written(flow), Polynomials(flow.dimension + sum(map(prod, flow.data.values())))
    own = numbers.variables({**whole.state, **whole.data})
    along = velocities_of(whole, numbers, own)
    from conslaw.laws.candidates import arrays_of

    for combination in matrix_combinations(IndexClasses.of(flow))[:4]:
        entries = code(combination.timed(combination.array(arrays_of(flow))))
        for h in kernel.run(entries, own, numbers)[-1].reshape(-1):
            if h != 0:
                kernel.check_conserved(h, along, {})


@MANY
@given(flows(), st.data())
def test_gradients_in_subnetworks_and_along_tangent_vectors(flow, data):
    """The gradients of the whole network at the one point have at least the rank that the subnetworks add up
    to.
    """
    from conslaw.laws.candidates import arrays_of
    from conslaw.laws.matrix_ansatz import directly

    combinations = matrix_combinations(IndexClasses.of(flow))
    choices = [(classes, colouring) for classes in splits(flow)[:4] for colouring in colourings(classes)]
    if not choices or not combinations:
        return
    classes, colouring = data.draw(st.sampled_from(choices))
    split = split_ranks(classes, colouring, combinations, seed=3, p=P)
    if split is None:
        return
    every = [w for w, count in colouring.items() for _ in range(count)]
    state, shapes = arrays_of(flow), written(flow).state
    codes = [code(c.array(state)) for c in combinations]
    eye = np.eye(flow.dimension, dtype=np.uint64)

    def rank_of_gradients(point):
        return kernel.rank(
            np.concatenate([ansatz_rules.slopes_along(one, shapes, point, eye, P) for one in codes]), P
        )

    special = {n: x[0][None] for n, x in split_point(classes, every, seed=3, p=P).items()}
    rng = np.random.default_rng(0)
    somewhere = {n: rng.integers(0, P, (1, 1, *s), dtype=np.uint64) for n, s in shapes.items()}
    assert rank_of_gradients(special) >= split.laws_found
    assert rank_of_gradients(somewhere) >= sum(directly(flow, combinations, 0))


@pytest.mark.parametrize("depth", range(1, 7))
def test_brackets_of_the_kernel_are_those_of_the_definition(depth):
    """Nested brackets of polynomial fields, derived symbolically over the integers, mod p."""
    import sympy

    model = conslaw.model(
        lambda p, c: c.a * p.x**2 * p.y + c.b * p.z * p.x,
        parameters=dict.fromkeys("xyz", ()),
        data=dict.fromkeys("ab", ()),
    )
    flow = written(M(model, damping=1, weight_decay="1/2"))
    names = sympy.symbols("t x y z u v w")
    t, x, y, z, u, v, w = names
    rng = np.random.default_rng(depth)  # the kernel's own draw, in its order

    def drawn():
        return int(rng.integers(0, P, (1, 1), dtype=np.uint64).item())

    fields = []
    for _ in range(depth):
        a, b, s, k = drawn(), drawn(), drawn(), drawn()
        drift = [t, u, v, w, -u - x / sympy.Integer(2), -v - y / sympy.Integer(2), -w - z / sympy.Integer(2)]
        control = [0, 0, 0, 0, 2 * a * x * y + b * z, a * x**2, b * x]
        s, k = (s, k) if depth > 1 else (0, s)
        fields.append([s * d + k * c for d, c in zip(drift, control, strict=True)])
    inner = fields[-1]
    for outer in reversed(fields[:-1]):
        inner = [
            sympy.expand(
                sum(
                    sympy.diff(g, q) * f - sympy.diff(h, q) * e
                    for q, f, e in zip(names, outer, inner, strict=True)
                )
            )
            for g, h in zip(inner, outer, strict=True)
        ]
    values = dict(zip(names, (2, 3, 5, 7, 11, 13, 17), strict=True))
    point = {
        n: np.full((1, 1), int(q), dtype=np.uint64) for n, q in zip(flow.state, values.values(), strict=True)
    }
    expected = []
    for component in inner:
        value = sympy.Rational(sympy.sympify(component).subs(values))
        expected.append(int(value.p) * pow(int(value.q), -1, P) % P)
    assert kernel.elements(flow, point, depth, 1, P).tolist() == [expected]


def test_what_is_drawn_for_a_seed_never_changes():
    """The words of SHAKE-256, so that certificates stay valid for ever."""
    from hashlib import shake_256

    from conslaw.laws.subnetworks import slice_of_point

    words = shake_256(b"conslaw point 7 2147483647 W1 1,2").digest(32)
    expected = [int.from_bytes(words[8 * i : 8 * i + 8], "little") % P for i in range(4)]
    assert slice_of_point("W1", (2, 2), (1, 2), seed=7, p=P).reshape(-1).tolist() == expected


def test_a_subject_is_read_once():
    certificate = conslaw.analyze(G(conslaw.linear([2, 2, 2]))).certificate()
    subject = Subject(certificate)
    subject.build()
    subject.derive()
    assert subject.written.state == {"W1": (2, 2), "W2": (2, 2)}


def test_a_class_of_one_index_fits_with_any_other():
    """2 ΣA[k,:] − ‖B[k,:]‖², of a mirror flow and an axis of length 1 that is cut out."""
    model = conslaw.model(
        lambda p, c: (c.v * p.B.reshape(1).sum() * p.A * np.array([1, 2, 3])).sum(),
        parameters={"A": (1, 3), "B": (1, 1)},
        data={"v": (1, 3)},
    )
    flow = conslaw.gradient_flow(model, metric={"A": "mirror", "B": "euclidean"})
    analysis = conslaw.analyze(flow, ansatz="matrix")
    assert analysis.laws_found == 1
    assert conslaw.verify(analysis.certificate()).ok
