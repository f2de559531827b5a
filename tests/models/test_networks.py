"""The families: what they take and what they refuse."""

import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import conslaw


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([3], "at least two"),
        ([3, 0], "positive"),
        ([3, -2], "positive"),
        ([2.5, 2], "positive"),
        ("32", "positive"),
        (7, "positive"),
        ([True, 2], "positive"),
        ([], "at least two"),
    ],
)
def test_bad_widths(sizes, message):
    for family in (conslaw.linear, conslaw.relu):
        with pytest.raises(conslaw.ConslawError, match=message) as error:
            family(sizes)
        assert repr(sizes) in str(error.value)


def test_widths_may_be_an_array():
    assert conslaw.linear(np.array([3, 2, 4])).arguments["widths"] == [3, 2, 4]
    assert sum(a * b for a, b in pairwise([3, 2, 4])) == conslaw.linear((3, 2, 4)).size


@pytest.mark.parametrize(
    ("call", "new"),
    [
        (lambda: conslaw.linear(3, 2, 4), r"linear\(\[3, 2, 4\]\)"),
        (lambda: conslaw.relu(3, 2, 4, bias=True), r"relu\(\[3, 2, 4\]\)"),
        (lambda: conslaw.nmf(3, 2, 4), r"nmf\(\[3, 2, 4\]\)"),
        (lambda: conslaw.nmf(n1=3, n2=2, n3=4), r"nmf\(\[3, 2, 4\]\)"),
        (lambda: conslaw.icnn(3, 4, n3=2, bias=True), r"icnn\(\[3, 4, 2\]\)"),
        (lambda: conslaw.pca(np.int64(2), 3), r"pca\(\[2, 3\]\)"),
        (lambda: conslaw.monomial(1, 2), r"monomial\(\[1, 2\]\)"),
        (lambda: conslaw.networks.polynomial(2, 2, 1), r"polynomial\(\[2, 2, 1\]\)"),
    ],
)
def test_sizes_one_by_one_are_told_the_list(call, new):
    with pytest.raises(conslaw.ConslawError, match=new):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n.attention(4, heads=0), "heads=0: give a positive integer"),
        (lambda n: n.attention(4, heads="2"), "heads='2'"),
        (lambda n: n.attention(4, heads=2, size=0), "size=0"),
        (lambda n: n.transformer_block(2, heads=4, hidden=3), "size=0"),
        (lambda n: n.conv(3), "channels=3: give a list"),
        (lambda n: n.conv([2, 3, 1], pixels=[5]), r"pixels=\[5\]: give a positive"),
        (lambda n: n.cp(3, 2), "sizes=3"),
        (lambda n: n.tucker([3, 3], 2), "ranks=2"),
        (lambda n: n.tensor_train([], 2), r"sizes=\[\]"),
        (lambda n: n.residual(3, 2, [2]), r"layers=\[2\]"),
    ],
)
def test_sizes_that_an_architecture_cannot_have(call, message):
    with pytest.raises(conslaw.ConslawError, match=message):
        call(conslaw.networks)


@pytest.mark.parametrize("family", ["nmf", "icnn", "pca"])
@pytest.mark.parametrize("sizes", [[3], [1, 2, 3, 4], "324", [0, 1, 1], 3, None])
def test_so_many_sizes(family, sizes):
    with pytest.raises(conslaw.ConslawError, match=f"{family} .* such as {family}"):
        getattr(conslaw, family)(sizes)


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda sizes: [np.int32(n) for n in sizes]])
def test_any_list_of_any_integers(kind):
    for family, sizes in {"linear": [3, 2, 4], "icnn": [3, 4, 2], "pca": [2, 3], "monomial": [1, 2]}.items():
        assert getattr(conslaw, family)(kind(sizes)).parameters == getattr(conslaw, family)(sizes).parameters
    declared = conslaw.model(
        lambda p, c: c.v @ p.W @ c.x, parameters={"W": kind([3, 2])}, data={"x": kind([2]), "v": [3]}
    )
    assert declared.parameters == {"W": (3, 2)}


def test_users_script(capsys):
    runpy.run_path(str(Path(__file__).parents[1] / "users_script.py"))
    assert "linear 3" in capsys.readouterr().out
