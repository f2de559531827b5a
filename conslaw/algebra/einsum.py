"""``numpy.einsum`` of expressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conslaw.algebra.expressions import LETTERS, Expression, as_expression, contract, summed, taken
from conslaw.errors import ConslawError


def einsum(subscripts: object, *operands: object) -> Expression:
    """``numpy.einsum`` with a subscript string."""
    arrays = [as_expression(x) for x in operands]
    if not isinstance(subscripts, str):
        raise ConslawError(
            f"einsum({subscripts!r}, ...): give the subscripts as a string, such as 'ij,jk->ik'"
        )
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    if not arrow:
        alone = sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1)
        out = "..." * ("..." in left) + "".join(alone)
    spare = next((c for c in LETTERS if c not in left + out), "Z")
    left, out = left.replace("Z", spare), out.replace("Z", spare)  # Z is that of a batch
    names = left.split(",")
    if "..." in left and len(names) == len(arrays):
        arrays, names, out = _without_ellipsis(arrays, names, out)
        left = ",".join(names)
    sizes: dict[str, int] = {}
    fits = len(names) == len(arrays) and (left + "a").replace(",", "").isalpha()
    fits = fits and all(len(a) == x.ndim for a, x in zip(names, arrays, strict=True))
    if fits:
        pairs = [(c, n) for a, x in zip(names, arrays, strict=True) for c, n in zip(a, x.shape, strict=True)]
        sizes = dict(pairs)
        fits = all(sizes[c] == n for c, n in pairs) and set(out) <= set(sizes) and len(set(out)) == len(out)
    if not fits or set(sizes) - set(LETTERS):
        raise ConslawError(
            f"einsum({subscripts!r}): does not match operands of shapes {[x.shape for x in arrays]}"
        )
    terms = [_diagonal(x, a) for x, a in zip(arrays, names, strict=True)]
    x, a = terms[0]
    for number, (y, b) in enumerate(terms[1:], start=1):
        later = out + "".join(c for _, c in terms[number + 1 :])
        kept = "".join(c for c in dict.fromkeys(a + b) if c in later) if number + 1 < len(terms) else out
        x, a = contract(x, y, a, b, kept), kept
    if len(terms) == 1:
        x = summed(x, tuple(i for i, c in enumerate(a) if c not in out))
        a = "".join(c for c in a if c in out)
        x = x.transpose(*[a.index(c) for c in out]) if out else x
    return x


def _without_ellipsis(
    arrays: Sequence[Expression], names: Sequence[str], out: str
) -> tuple[list[Expression], list[str], str]:
    """The same with letters for the axes of an ellipsis; those that are stretched are left out."""
    free = [c for c in LETTERS if c not in "".join((*names, out))]
    shapes = [
        x.shape[len(a.split("...")[0]) : x.ndim - len(a.split("...")[1])] if a.count("...") == 1 else ()
        for x, a in zip(arrays, names, strict=True)
    ]
    whole = np.broadcast_shapes(*shapes)
    letters = "".join(free[: len(whole)])
    if letters and "..." not in out:
        raise ConslawError(f"einsum: the output {out!r} has no '...' for the axes of the operands' ellipsis")
    made, written = list[Expression](), list[str]()
    for x, a, shape in zip(arrays, names, shapes, strict=True):
        if a.count("...") != 1:
            made, written = [*made, x], [*written, a]
            continue
        before, after = a.split("...")
        skipped = len(whole) - len(shape)
        own = list(zip(letters[skipped:], shape, whole[skipped:], strict=True))
        kept = [n for _, n, m in own if n == m]
        made.append(x.reshape(*x.shape[: len(before)], *kept, *x.shape[x.ndim - len(after) :]))
        written.append(before + "".join(c for c, n, m in own if n == m) + after)
    return made, written, out.replace("...", letters)


def _diagonal(x: Expression, letters: str) -> tuple[Expression, str]:
    """Replace repeated letters of an operand (``ii``) by the diagonal."""
    kept = "".join(dict.fromkeys(letters))
    if kept == letters:
        return x, letters
    sizes = [x.shape[letters.index(c)] for c in kept]
    grid = np.indices(sizes)
    position = np.ravel_multi_index([grid[kept.index(c)] for c in letters], x.shape)
    return taken(x, np.asarray(position)), kept
