"""Rescalings: laws along residual streams, of random networks of blocks, on both sides."""

import os

import numpy as np
import pytest

import conslaw
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.certificates.written import digests
from conslaw.laws.brackets import RandomField
from conslaw.laws.candidates import arrays_of
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import random_point
from conslaw.laws.matrix_notation import derivatives_along
from conslaw.laws.rescalings import rescalings

SEEDS = range(40 if os.environ.get("THOROUGH") else 3)


def residual(stages, blocks, *, gated=True, from_data=False):
    """Stages of so many channels, with as many blocks each: a matrix between stages, shifts everywhere."""
    shapes, data = {"S": (stages[0], 3)}, {"x": (3,), "v": (2,), "g": (stages[0],)}
    for s, c in enumerate(stages):
        if s:
            shapes |= {f"D{s}": (c, stages[s - 1]), f"d{s}": (c,), f"e{s}": (c,)}
        for b in range(blocks):
            k = f"{s}{b}"
            shapes |= {f"A{k}": (2, c), f"a{k}": (2,), f"B{k}": (c, 2), f"b{k}": (c,)}
            data |= {f"g{k}": (c,), f"h{k}": (2,)}
    shapes["F"] = (2, stages[-1])

    def potential(p, c):
        x = c.x if from_data else c.g * (p.S @ c.x)
        for s in range(len(stages)):
            x = p[f"D{s}"] @ x + p[f"d{s}"] + p[f"e{s}"] if s else x
            for b in map(str, range(blocks)):
                k = f"{s}{b}"
                x = x + p["B" + k] @ (c["h" + k] * (p["A" + k] @ x + p["a" + k])) + p["b" + k]
                x = c["g" + k] * x if gated else x
        return c.v @ (p.F @ x)

    if from_data:
        shapes.pop("S")
        data.pop("g")
    return conslaw.model(potential, parameters=shapes, data=data, name="residual")


def random_case(seed):
    rng = np.random.default_rng(seed)
    stages = rng.integers(2, 4, rng.integers(1, 3)).tolist()
    return residual(stages, int(rng.integers(1, 3)), gated=bool(rng.integers(2)))


@pytest.mark.parametrize("seed", SEEDS)
def test_rescalings_of_random_networks_are_laws(seed):
    flow = conslaw.gradient_flow(random_case(seed), metric={"F": "1/3"} if seed % 2 else "euclidean")
    found = rescalings(flow, list(IndexClasses.of(flow).lengths))
    assert found
    rng, state = np.random.default_rng(seed), arrays_of(flow)
    point = random_point(flow, rng, PRIME, 5)
    direction = RandomField(flow, 5, rng, PRIME)(point)
    for slope in derivatives_along([c.array(state) for c in found], point, direction, 5):
        assert not slope.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_and_certificates_of_random_networks(seed):
    analysis = conslaw.analyze(random_case(seed))
    plain = conslaw.count(random_case(seed), split=False)
    assert analysis.laws_found <= plain.laws_at_most <= analysis.laws_at_most
    assert conslaw.verify(analysis.certificate()).ok


@pytest.mark.parametrize("blocks", [1, 4])
def test_any_depth(blocks):
    """Of each block its hidden units, of the stage its channels."""
    analysis = conslaw.analyze(residual([5], blocks), ansatz="matrix")
    assert (analysis.laws_found, analysis.complete) == (5 + 2 * blocks, True)
    assert conslaw.verify(analysis.certificate(), budget=5).ok


def test_a_stream_that_starts_with_data_is_not_rescaled():
    flow = conslaw.gradient_flow(residual([3], 2, from_data=True))
    classes = IndexClasses.of(flow)
    stream = classes.state["F"][1]
    assert rescalings(flow, [stream]) == []
    assert rescalings(conslaw.momentum_flow(residual([3], 2)), list(classes.lengths)) == []
    assert rescalings(conslaw.gradient_flow(residual([3], 2), weight_decay=1), list(classes.lengths)) == []


def test_forged_rescalings_are_refused():
    certificate = conslaw.analyze(residual([5], 4), ansatz="matrix").certificate()
    number, family = max(enumerate(certificate["lower"]["families"]), key=lambda x: len(x[1]["terms"]))
    assert len(family["terms"]) > 5
    for term in (0, len(family["terms"]) - 1):
        terms = [dict(t) for t in family["terms"]]
        terms[term]["coefficient"] *= 2
        families = list(certificate["lower"]["families"])
        families[number] = {**family, "terms": terms}
        forged = {**certificate, "lower": {**certificate["lower"], "families": families}}
        forged["digests"] = digests(forged)
        verified = conslaw.verify(forged, budget=5)
        assert not verified.ok
        [check] = [x for x in verified.checks if x.what == "at least"]
        assert check.verdict == "not checked"  # no rescaling, nor a law of a window that is cheap to look at
        assert family["text"][:60] in check.found
