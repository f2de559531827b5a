"""Llama blocks: laws of rotated pairs, groups of heads and gates at any width, and their certificates."""

import copy
import os

import pytest

torch = pytest.importorskip("torch")

from written_out import LlamaBlock  # noqa: E402

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
