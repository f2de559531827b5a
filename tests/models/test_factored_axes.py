"""Axes in factors, data apart: the same function of arrays in other shapes, with the same laws."""

import numpy as np
import pytest

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.models.factored_axes import in_factors
from conslaw.models.pieces import with_data_apart


def reshaped_heads(p, c):
    query, key = (p.Q @ c.x + p.b).reshape(2, 3), (p.K @ c.y).reshape(2, 3)
    value = np.einsum("hid,hd->hi", p.V.reshape(2, 3, 4), c.a).reshape(6)
    return np.einsum("h,hi,hi->", c.s, query, key) + c.v @ (p.O @ value)


def picked_heads(p, c):
    whole = np.concatenate([p.V[:3] @ c.a[0], p.V[3:] @ c.a[1]])
    return c.v @ (p.O @ whole) + ((p.Q @ c.x + p.b).reshape(2, 3) * (p.K @ c.y).reshape(2, 3)).sum(1) @ c.s


def flattened_filters(p, c):
    return c.v @ (p.O @ (p.Q @ c.x).reshape(3, 2).T.reshape(6)) + 0 * (p.K.sum() + p.V.sum() + p.b.sum())


CODES = [reshaped_heads, picked_heads, flattened_filters]


def model(code):
    shapes = dict.fromkeys("QKV", (6, 4)) | {"O": (5, 6), "b": (6,)}
    data = {"x": (4,), "y": (4,), "a": (2, 4), "s": (2,), "v": (5,)}
    return conslaw.model(code, parameters=shapes, data=data)


def value(of, values):
    """Its potential at whole numbers, which fill its arrays in C order."""
    arrays = {n: values[n].reshape(s) for n, s in {**of.parameters, **of.data}.items()}
    return evaluate([of.potential], arrays, NumPyNumbers(int))[0]


@pytest.mark.parametrize("code", CODES)
def test_a_model_in_factors_is_the_same_function(code):
    whole, rng = model(code), np.random.default_rng(0)
    part = in_factors(whole)
    assert part is not None
    assert part.parameters["Q"] in {(2, 3, 4), (3, 2, 4)}
    arrays = {**whole.parameters, **whole.data}
    values = {n: rng.integers(-3, 4, np.prod(s)).astype(object) for n, s in arrays.items()}
    assert value(part, values) == value(whole, values)


def test_a_model_of_data_apart_is_the_same_function():
    whole, rng = model(picked_heads), np.random.default_rng(0)
    part = with_data_apart(whole)
    assert set(part.data) == {"x", "y", "s", "v", "a_part_0", "a_part_1"}
    arrays = {**whole.parameters, **whole.data}
    values = {n: rng.integers(-3, 4, np.prod(s)).astype(object) for n, s in arrays.items()}
    halves = {f"a_part_{k}": half for k, half in enumerate(np.split(values["a"], 2))}
    assert value(part, values | halves) == value(whole, values)


@pytest.mark.parametrize("code", CODES)
def test_laws_of_reshaped_arrays_are_counted_as_of_the_whole(code):
    flow = conslaw.gradient_flow(model(code))
    by_arrays = conslaw.analyze(flow, ansatz="matrix")
    assert by_arrays.laws_at_most == conslaw.count(flow, split=False).laws_at_most
    assert code is flattened_filters or by_arrays.complete  # Gram matrices by two axes are no candidates
    assert conslaw.verify(by_arrays.certificate()).ok


def test_axes_that_are_joined_again_stay_whole():
    def code(p, c):
        return c.v @ (p.B @ (c.g * (p.A @ c.x).reshape(2, 3)).reshape(6))

    whole = conslaw.model(
        code, parameters={"A": (6, 4), "B": (5, 6)}, data={"x": (4,), "v": (5,), "g": (2, 3)}
    )
    assert in_factors(whole) is None


def test_axes_that_do_not_factor_alike_stay_whole():
    def code(p, c):
        return (p.A.reshape(2, 3) * c.x).sum() + (p.A.reshape(3, 2) * c.y).sum()

    whole = conslaw.model(code, parameters={"A": (6,)}, data={"x": (2, 3), "y": (3, 2)})
    assert in_factors(whole) is None


def test_a_matrix_and_its_transpose_in_one_sum():
    square = conslaw.model(
        lambda p, c: c.v @ (p.A + p.A.T) @ c.x, parameters={"A": (3, 3)}, data={"x": (3,), "v": (3,)}
    )
    assert in_factors(square) is None
    assert conslaw.analyze(square, ansatz="matrix").laws_at_most == 3
