"""Groups: what they prove is below the plain rank and seldom less; real blocks; certificates."""

import copy
import os

import blocks
import numpy as np
import pytest

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.algebra.finite_field import LIFTING_PRIME as P
from conslaw.algebra.terms import terms_of
from conslaw.certificates.written import digests
from conslaw.laws.group_ranks import every_group_colouring, group_ranks
from conslaw.laws.groups import components, grouping

G = conslaw.gradient_flow
COUNT = 250 if os.environ.get("CI") else 30
WHOLE = {"attention", "hidden", "bQ", "bV", "bO", "bA", "bB", "gain", "shift", "gain2", "shift2", "centred"}


def by_groups(flow, seed=0):
    """At most so many laws by groups; None if there are none."""
    every = [group_ranks(one, (), seed=seed, p=P) for one in every_group_colouring(flow)]
    return min((found[0].laws_at_most for found in every if found), default=None)


def bounds(flow, seed):
    """At most so many laws by groups, and by the plain route; None without groups or for large flows."""
    found = by_groups(flow, seed) if flow.dimension <= 130 else None
    return found and (found, conslaw.count(flow, split=False, seed=seed).laws_at_most)


def test_groups_never_prove_too_much_and_seldom_too_little():
    every = [
        both
        for seed in range(COUNT)
        if (both := bounds(G(blocks.random_block(np.random.default_rng(seed)).model()), seed))
    ]
    assert len(every) >= COUNT // 3
    assert all(found >= plain for found, plain in every)
    assert sum(found == plain for found, plain in every) >= 0.95 * len(every)


def test_a_number_that_multiplies_groups_makes_the_bound_loose_not_false():
    def potential(p, c):
        return p.z * (c.v @ (p.A @ (p.g * c.x)) + c.w @ (p.B @ (p.g * c.y)))

    sizes = {"A": (3, 4), "B": (2, 4), "g": (4,), "z": ()}
    flow = G(conslaw.model(potential, parameters=sizes, data={"v": (3,), "w": (2,), "x": (4,), "y": (4,)}))
    found, plain = bounds(flow, 0)
    assert plain <= found


def test_terms_add_up_to_the_potential():
    model = blocks.Block(3, 2, 1, 2, 3, 2, WHOLE).model()
    found, left_out = terms_of(model.potential, model.data, 99)
    assert not left_out
    rng = np.random.default_rng(0)
    values = {n: rng.integers(-3, 4, s).astype(object) for n, s in {**model.parameters, **model.data}.items()}
    numbers = NumPyNumbers(int)
    whole, *parts = evaluate([model.potential, *found.values()], values, numbers)
    assert whole == sum(parts)
    for degree, term in found.items():
        twice = {n: 2 * x if n in degree else x for n, x in values.items()}
        [value], [before] = evaluate([term], twice, numbers), evaluate([term], values, numbers)
        assert value == 2 ** len(degree) * before


def test_groups_of_a_block():
    parts = grouping(G(blocks.Block(4, 2, 2, 2, 5, 1, WHOLE).model()))
    assert [set(group.own) for group in parts.groups] == [
        {"Q0", "K0", "bQ0"},
        {"V0", "O0", "bV0"},
        {"A0", "gain20", "shift20"},
        {"B0"},
    ]
    assert set(parts.shared) == {"gain0", "shift0"}
    assert set(parts.linear) == {"bO0", "bB0", "bA0"}


@pytest.mark.parametrize(("width", "number", "hidden"), [(64, 4, 256), (96, 3, 160)])
def test_a_transformer_block_is_complete_and_its_certificate_holds(width, number, hidden):
    size = width // number
    flow = G(blocks.Block(width, number, 1, size, hidden, 1, WHOLE).model())
    analysis = conslaw.analyze(flow)
    assert analysis.complete
    # Gram matrices of queries and keys, of values and outputs; gains of two norms; the sum of two biases
    assert analysis.laws_found == number * size * (size + 1) + 2 * width + 1
    verified = conslaw.verify(analysis.certificate())
    assert verified.ok, str(verified)


@pytest.fixture(scope="module")
def certificate():
    flow = G(blocks.Block(16, 2, 1, 8, 24, 2, WHOLE).model())
    made = conslaw.analyze(flow, ansatz="matrix").certificate()
    assert made["upper"]["method"] == "groups"
    assert conslaw.verify(made).ok
    return made


def more_rank(upper):
    upper["ranks"][0] += 1


def higher_block(upper):
    block = upper["groups"][0]["blocks"][0]
    block["rank"] += 1
    upper["ranks"][0] += block["copies"]


def more_shared(upper):
    upper["shared"]["rank"] += 1
    upper["ranks"][0] += 1


def more_linear(upper):
    upper["linear"]["rank"] += 1
    upper["ranks"][0] += 1


def a_group_twice(upper):
    upper["groups"].append(upper["groups"][0])


def not_linear(upper):
    upper["linear"]["arrays"].append("gain0")
    upper["shared"]["arrays"].remove("gain0")


def stolen_array(upper):
    moved = upper["groups"][0]["arrays"].pop()
    upper["groups"][1]["arrays"].append(moved)


def more_copies(upper):
    upper["groups"][0]["blocks"][0]["copies"] += 1


def another_point(upper):
    upper["seed"] += 1
    for group in upper["groups"]:
        for block in group["blocks"]:
            block["ranks"][0] += 1


def shared_is_own(upper):
    upper["groups"][0]["arrays"].append("gain0")
    upper["shared"]["arrays"].remove("gain0")


@pytest.mark.parametrize(
    "forgery",
    [
        more_rank,
        higher_block,
        more_shared,
        more_linear,
        a_group_twice,
        not_linear,
        stolen_array,
        more_copies,
        another_point,
        shared_is_own,
    ],
)
def test_forged_groups_are_refuted(certificate, forgery):
    forged = copy.deepcopy(certificate)
    forgery(forged["upper"])
    rank = forged["upper"]["ranks"][0]
    forged["bounds"]["laws_at_most"] = forged["bounds"]["state_dimension"] - rank
    forged["digests"] = digests(forged)
    assert not conslaw.verify(forged).ok


def test_components_are_cut_off_at_a_degree_where_there_are_too_many():
    layers = 14

    def potential(p, c):
        h = c.x
        for i in range(layers):
            h = h + p[f"B{i}"] @ (c[f"g{i}"] * (p[f"A{i}"] @ h))
        return c.v @ h

    shapes = {f"A{i}": (2, 3) for i in range(layers)} | {f"B{i}": (3, 2) for i in range(layers)}
    data = {"x": (3,), "v": (3,)} | {f"g{i}": (2,) for i in range(layers)}
    flow = G(conslaw.model(potential, parameters=shapes, data=data))
    assert 0 < len(components(flow)) < 2**layers
    assert by_groups(flow) == 2 * layers
