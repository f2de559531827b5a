"""Llama blocks: laws of rotated pairs, groups of heads and gates at any width, and their certificates."""

import copy
import json
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from written_out import Llama, LlamaBlock  # noqa: E402

import conslaw  # noqa: E402
from conslaw.algebra.finite_field import LIFTING_PRIME as P  # noqa: E402
from conslaw.certificates.written import digests  # noqa: E402
from conslaw.laws.group_ranks import every_group_colouring, group_ranks  # noqa: E402
from conslaw.laws.matrix_ansatz import combinations_of_windows  # noqa: E402
from conslaw.laws.windows import flow_in_pieces  # noqa: E402


def block(width, heads, groups, hidden):
    with torch.device("meta"):
        inputs = torch.zeros(1, 2, width), torch.zeros(2, width // heads), torch.zeros(2, width // heads)
        return conslaw.from_torch(LlamaBlock(width, heads, groups, hidden), *inputs, mode="eval")


def laws(width, heads, groups, hidden):
    """Of values and outputs, and of rotated pairs, in each group; gains of two norms; hidden units."""
    size = width // heads
    return groups * size * (size + 1) // 2 + groups * size // 2 + 2 * width + hidden


@pytest.mark.parametrize("sizes", [(512, 8, 8, 1024), (2048, 32, 8, 8192)])
def test_a_block_is_complete_at_any_width(sizes):
    analysis = conslaw.analyze(block(*sizes))
    assert (analysis.laws_found, analysis.complete) == (laws(*sizes), True)
    assert analysis.certificate()["upper"]["method"] == "groups"


@pytest.mark.parametrize("sizes", [(4, 1, 1, 3), *([(8, 2, 1, 5)] if os.environ.get("CI") else [])])
def test_no_colouring_proves_what_is_false(sizes):
    """Every way to colour a block, also with colours that have no index of some classes."""
    flow = flow_in_pieces(conslaw.gradient_flow(block(*sizes)))
    plain, combinations = conslaw.count(flow, split=False).laws_at_most, combinations_of_windows(flow)
    colourings = every_group_colouring(flow)
    assert any(0 in widths for one in colourings for widths in one.colours)
    for one in colourings:
        totals = (sum(w[k] * n for w, n in one.colours.items()) for k in range(len(one.classes.lengths)))
        assert [*totals] == [*one.classes.lengths.values()]
        upper, lower = group_ranks(one, combinations, seed=0, p=P)
        assert lower.laws_found <= plain == laws(*sizes) <= upper.laws_at_most


@pytest.fixture(scope="module")
def certificate():
    made = conslaw.analyze(block(256, 8, 4, 512)).certificate()
    assert any(0 in widths for widths, _ in made["upper"]["colours"])
    assert conslaw.verify(made).ok
    return made


def one_more_colour(upper):
    upper["colours"][0][1] += 1


def an_index_less(upper):
    """Of the first class that some colours do not have."""
    k = next(widths.index(0) for widths, _ in upper["colours"] if 0 in widths)
    next(widths for widths, _ in upper["colours"] if widths[k])[k] -= 1


def a_higher_rank(upper):
    blocks = upper["groups"][0]["blocks"]
    rise = next(b for b in blocks if b["rank"] < b["dimension"])
    rise["rank"] += 1
    rise["ranks"][-1] += 1
    upper["ranks"][0] += rise["copies"]


def a_block_of_colours_without_its_arrays(upper):
    """Weights are claimed where a colour has no index of their class."""
    block = next(b for b in upper["groups"][0]["blocks"] if b["dimension"] == 0)
    block["dimension"], block["rank"], block["ranks"] = 1, 1, [1]
    upper["ranks"][0] += block["copies"]


@pytest.mark.parametrize(
    "forgery",
    [one_more_colour, an_index_less, a_higher_rank, a_block_of_colours_without_its_arrays],
)
def test_forged_colours_are_refuted(certificate, forgery):
    forged = copy.deepcopy(certificate)
    forgery(forged["upper"])
    forged["bounds"]["laws_at_most"] = forged["bounds"]["state_dimension"] - forged["upper"]["ranks"][0]
    forged["digests"] = digests(forged)
    assert not conslaw.verify(forged).ok


def test_parts_of_reshaped_arrays_are_found_in_the_module():
    """Rotary positions cut each head in halves: parts of the weight read as (heads, size, width)."""
    module = Llama().double()
    analysis = conslaw.analyze(conslaw.from_torch(module, torch.tensor([[1, 2, 3]])))
    reshaped, [_, half] = "layers.0.q_proj.weight.reshape(2, 4, 8)[:, 0:2]", np.split(np.arange(4), 2)
    assert reshaped in str(analysis)
    values = analysis.evaluate(module)
    own = {name: x.detach().numpy() for name, x in module.named_parameters()}
    q, k = (own[f"layers.0.{name}_proj.weight"].reshape(-1, 4, 8) for name in "qk")
    [found] = [x for name, x in values.items() if reshaped in name and "norm" not in name]
    pairs = [sum(sign * (x[:, [i, half[i]]] ** 2).sum() for sign, x in ((1, q), (-1, k))) for i in range(2)]
    np.testing.assert_allclose(found, pairs)
    again = conslaw.load(json.loads(json.dumps(analysis.to_json())))
    assert all((again.evaluate(module)[name] == x).all() for name, x in values.items())
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    with conslaw.Monitor(module, analysis, optimizer, every=1) as monitor:
        for _ in range(3):
            optimizer.zero_grad()
            module(torch.tensor([[1, 2, 3]])).square().mean().backward()
            optimizer.step()
    drift = monitor.drift()
    assert drift.exact
    assert max(abs(law.values - law.predicted).max() for law in drift.laws) < 1e-12
