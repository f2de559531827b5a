"""Data that are given and do not span the inputs: what is orthogonal to them does not move."""

import numpy as np
import pytest

import conslaw
from conslaw.certificates.verification import verify


def on_rows(make, widths, rows, seed=0):
    X = np.random.default_rng(seed).integers(-3, 4, (rows, widths[0]))
    return conslaw.gradient_flow(make(widths), data={"x": X})


def test_linear_laws_are_found_beside_balancedness():
    """W1 v for v orthogonal to the rows, entry by entry, and the laws of the network on 3 inputs."""
    flow = on_rows(conslaw.linear, [20, 12, 6], 3)
    analysis = conslaw.analyze(flow)
    smaller = 9 * 12 - 9 * 8 // 2  # of 3-12-6, where (W1 | W2ᵀ) has rank 9
    assert analysis.complete
    assert analysis.laws_found == 12 * (20 - 3) + smaller
    assert "linear laws" in analysis.explained()
    assert verify(analysis.certificate()).verdict == "ok"


@pytest.mark.parametrize("widths", [[9, 4, 2], [6, 3, 3, 2]])
def test_small_networks_agree_with_all_monomials(widths):
    flow = on_rows(conslaw.linear, widths, 2)
    by_arrays, whole = (conslaw.analyze(flow, ansatz=kind) for kind in ("matrix", "monomials"))
    assert by_arrays.laws_at_most == whole.laws_at_most
    assert by_arrays.laws_found <= whole.laws_found
    assert not by_arrays.complete or by_arrays.laws_found == whole.laws_found
