"""The grammar of ranges: ``3``, ``1..5`` and ``6..12..3`` (both ends are in), joined by commas.

Widths of networks are lists of such items, one for each layer, joined by ``-``: ``1..3-2-1..3``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

from conslaw.errors import ConslawError

MOST, LISTED = 10_000, 100_000  # integers in a list; architectures that are given one by one
DIGITS = "[0-9]{1,18}"
ITEM = re.compile(rf"({DIGITS})(?:\.\.({DIGITS}))?(?:\.\.({DIGITS}))?")
EXAMPLE = "such as 3, 1..5, 6..12..3 or 1,2,4..8"

Values = str | int | Iterable[int]
Pattern = tuple[tuple[int, ...], ...]  # for each layer the widths that it may have


def integers(values: Values, what: str) -> tuple[int, ...]:
    """The integers of a text such as ``1..5`` or ``6..12..3,20``, of a range, or of a list, each once.

    Parameters
    ----------
    values : str, int, range or iterable of integers >= 0
    what : the name of the option, for the message

    Raises
    ------
    ConslawError
        If the text is none of these, a range is empty, or its end is not reached by its steps.

    Examples
    --------
    >>> integers("1..5,9", "depth"), integers("6..12..3", "widths"), integers(range(2, 4), "depth")
    ((1, 2, 3, 4, 5, 9), (6, 9, 12), (2, 3))
    """
    if isinstance(values, str):
        found = [n for part in values.split(",") for n in _item(part.strip(), values, what)]
    elif _is_integer(values):
        found = [int(values)]  # type: ignore[arg-type]  # it is one
    else:
        found = _listed(values, what)
    if not found or len(found) > MOST:
        raise ConslawError(f"{what}={values!r}: {len(found):,} integers; give 1 to {MOST:,}, {EXAMPLE}")
    return tuple(dict.fromkeys(found))


def _item(part: str, text: str, what: str) -> Sequence[int]:
    """What one item stands for."""
    match = ITEM.fullmatch(part)
    if not match:
        raise ConslawError(f"{what}={text[:60]!r}: give integers and ranges, {EXAMPLE}")
    first, last, step = (int(group) if group is not None else None for group in match.groups())
    assert first is not None
    if last is None:
        return (first,)
    if last < first:
        raise ConslawError(f"{what}={text[:60]!r}: {part} is empty; give {last}..{first}")
    if step == 0 or (last - first) % (step or 1):
        reached = f"{first}..{last}" if not step else f"{first}..{last - (last - first) % step}..{step}"
        raise ConslawError(f"{what}={text[:60]!r}: {part} does not reach its end; give {reached}")
    if (last - first) // (step or 1) >= MOST:
        raise ConslawError(f"{what}={text[:60]!r}: {part} has more than {MOST:,} integers")
    return range(first, last + 1, step or 1)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _listed(values: Any, what: str) -> list[int]:
    """A list of integers >= 0; of a huge range no more than is needed to refuse it."""
    try:
        found = [value for value, _ in zip(values, range(MOST + 1), strict=False)]
    except TypeError:
        found = [None]
    if not all(_is_integer(n) and n >= 0 for n in found):
        raise ConslawError(f"{what}={str(values)[:60]!r}: give integers and ranges, {EXAMPLE}")
    return [int(n) for n in found]


def patterns(widths: Any, depth: Values | None = None, *, layers: int | None = None) -> tuple[Pattern, ...]:
    """What architectures there are to be: for each pattern, the widths that each layer may have.

    Parameters
    ----------
    widths : str, or list
        ``"1..5"`` or ``[1, 2, 3]``: any of these in each layer, with a depth. ``"2-1..4-1,3-3-3"`` or
        ``[[2, 4, 1], [3, 3, 3]]``: architectures, layer by layer.
    depth : numbers of weight matrices (one less than widths), where widths do not say it
    layers : int, optional
        How many sizes the family takes, if always the same number.

    Examples
    --------
    >>> patterns("1..2", 2)
    (((1, 2), (1, 2), (1, 2)),)
    >>> patterns("2-1..3-1,4-4")
    (((2,), (1, 2, 3), (1,)), ((4,), (4,)))
    """
    given = _by_layer(widths)
    if given is None:
        every = integers(widths, "widths")
        if depth is None and layers is None:
            raise ConslawError(f"widths={widths!r}: give a depth as well, such as depth=2 (weight matrices)")
        counts = (
            [layers]
            if layers is not None
            else [d + 1 for d in integers(0 if depth is None else depth, "depth")]
        )
        if max(counts) > 1000:
            raise ConslawError(f"depth={depth!r}: give at most 999")
        given = [(every,) * count for count in counts if count is not None]
    elif depth is not None:
        raise ConslawError(f"depth={depth!r}: widths={widths!r} say it already; leave it out")
    for pattern in given:
        if len(pattern) < 2 and layers is None:
            raise ConslawError(f"widths={widths!r}, depth={depth!r}: a network needs two widths or more")
        if min(map(min, pattern)) < 1:
            raise ConslawError(f"widths={widths!r}: widths are positive")
        if layers is not None and len(pattern) != layers:
            raise ConslawError(f"widths={widths!r}: {len(pattern)} sizes, where the family takes {layers}")
    return tuple(dict.fromkeys(given))


def _by_layer(widths: Any) -> list[Pattern] | None:
    """The patterns, if the widths are given layer by layer."""
    if isinstance(widths, str):
        if "-" not in widths:
            return None
        parts = [part.strip().split("-") for part in widths.split(",")]
        if any(len(layers) < 2 for layers in parts):
            raise ConslawError(f"widths={widths[:60]!r}: give widths for all layers alike, or layer by layer")
        return [tuple(tuple(_item(n, widths, "widths")) for n in layers) for layers in parts]
    if not isinstance(widths, Sequence) or not all(isinstance(one, Sequence) for one in widths):
        return None
    if not 0 < len(widths) <= LISTED:
        raise ConslawError(f"widths={str(widths)[:60]!r}: {len(widths):,} lists; give 1 to {LISTED:,}")
    listed = [_listed(one, "widths") if not isinstance(one, str) else None for one in widths]
    if all(one for one in listed):
        return [tuple((n,) for n in one or ()) for one in listed]
    raise ConslawError(f"widths={str(widths)[:60]!r}: give lists of integers, such as [[3, 2, 4], [1, 2, 1]]")
