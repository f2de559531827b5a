"""The families: what they take and what they refuse."""

from itertools import pairwise

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
