"""The Smith form of a sparse integer matrix with many entries 1 and -1, such as a boundary matrix.

Why this algorithm: boundary matrices of subsets of R^m all but collapse.  A row with one entry goes with its
column at no cost; else the shortest column is the pivot, if it has an entry 1 or -1.  What has none, mostly
nothing, is small and goes to FLINT.  (Pivots: Dumas, Heckenbach, Saunders, Welker, in Algebra, Geometry and
Software Systems, 2003.)
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from flint import fmpz_mat

from conslaw.regions.networks_read import Array

Lines = dict[int, dict[int, int]]  # columns


def elementary_divisors(column: Array, row: Array, value: Array) -> list[int]:
    """The nonzero ones, of the matrix with these entries, in increasing order."""
    columns: Lines = {}
    rows: dict[int, set[int]] = {}
    for c, r, v in zip(column.tolist(), row.tolist(), value.tolist(), strict=True):
        columns.setdefault(c, {})[r] = v
        rows.setdefault(r, set()).add(c)
    single = [r for r, of in rows.items() if len(of) == 1]
    queue = [(len(entries), c) for c, entries in columns.items()]
    heapify(queue)
    units = 0
    while single or queue:
        if single:
            r = single.pop()
            if len(rows.get(r, ())) != 1:
                continue
            (c,) = rows[r]
            pivot = r if abs(columns[c][r]) == 1 else None
        else:
            length, c = heappop(queue)
            if c not in columns or len(columns[c]) != length:
                continue
            ones = [r for r, v in columns[c].items() if abs(v) == 1]
            pivot = min(ones, key=lambda r: len(rows[r]), default=None)
        if pivot is not None:
            _eliminate(columns, rows, c, pivot, queue, single)
            units += 1
    return [1] * units + _dense(columns)


def _eliminate(
    columns: Lines,
    rows: dict[int, set[int]],
    c: int,
    r: int,
    queue: list[tuple[int, int]],
    single: list[int],
) -> None:
    """Clear the row of the entry 1 or -1 at (c, r), and drop its row and column."""
    pivot = columns.pop(c)
    sign = pivot.pop(r)
    others = rows.pop(r)
    others.discard(c)
    for line in pivot:
        rows[line].discard(c)
    for other in others:
        entries = columns[other]
        factor = sign * entries.pop(r)
        for line, v in pivot.items():
            new = entries.get(line, 0) - factor * v
            if new:
                entries[line] = new
                rows[line].add(other)
            else:
                del entries[line]
                rows[line].discard(other)
        if entries:
            heappush(queue, (len(entries), other))
        else:
            del columns[other]
    single += [line for line in pivot if len(rows[line]) == 1]


def _dense(columns: Lines) -> list[int]:
    if not columns:
        return []
    names = sorted({r for entries in columns.values() for r in entries})
    matrix = fmpz_mat([[entries.get(r, 0) for r in names] for entries in columns.values()])
    form = matrix.snf()
    diagonal = (abs(int(form[i, i])) for i in range(min(form.nrows(), form.ncols())))
    return [v for v in diagonal if v]
