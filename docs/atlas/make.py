"""Make the atlas of laws: ``python docs/atlas/make.py [--only ResNet ...] [--workers 2]``.

Each row is a case of a sweep: in a process of its own, with limits, in a journal below ``build/atlas``;
killed at any moment, the same command goes on.  When all are finished they are put into ``laws.jsonl``, in
place of those that were there.  ``--only`` takes the rows whose architecture, size or flow begins with one of
the words.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from atlas.contents import ATLAS, cases  # noqa: E402
from atlas.rows import CERTIFICATES, Row  # noqa: E402

import conslaw  # noqa: E402

DATA = HERE / "laws.jsonl"
KEY = ("architecture", "size", "flow")
Key = tuple[str, ...]
BASE = {"decay": "gradient", "nesterov": "momentum"}  # the flow that a statement infers laws of another from


def key(row: Mapping[str, Any]) -> Key:
    """What tells one row from another."""
    return tuple(row[name] for name in KEY)


def chosen(words: Sequence[str]) -> list[dict[str, Any]]:
    """The cases that some words name; all without words."""
    return [
        x for x in cases() if not words or any(y.lower().startswith(w.lower()) for y in key(x) for w in words)
    ]


def read(path: Path = DATA) -> dict[Key, dict[str, Any]]:
    """The rows that are there."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {key(row): row for row in map(json.loads, lines)}


def finished(swept: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the data from one of the sweep."""
    names = (*KEY, "code", "budget", "status", "reason", "seconds", "memory_bytes", "conslaw")
    parts = ("answer", "certificate", "cpu")
    row = {name: swept[name] for name in names}
    return row | {name: json.loads(swept[name]) if swept.get(name) else None for name in parts}


def known(rows: dict[Key, dict[str, Any]]) -> None:
    """Put beside each row what a published statement says, and what follows from a row of another flow if
    that is more than its own: the two statements on the first page.
    """
    numbers = {
        (a.title, s.name, flow): laws for a in ATLAS for s in a.sizes for flow, laws in s.known.items()
    }
    for at, row in rows.items():
        row["known"] = numbers.get((at[0], at[1], at[2]))
        base = (rows.get((*at[:2], BASE.get(at[2], ""))) or {}).get("answer")
        follows = bool(base) and (is_homogeneous(base) if at[2] == "decay" else is_of_both_kinds(base))
        row["theorem"] = inferred(row["answer"], base, above=at[2] == "decay") if base and follows else None


def is_homogeneous(answer: Mapping[str, Any]) -> bool:
    """Whether each law is: those in matrix notation are."""
    return not answer["others"]


def is_of_both_kinds(answer: Mapping[str, Any]) -> bool:
    """Whether the metric is Euclidean, and each law with momentum exp(t) times one that is linear in the
    velocities, or free of time.
    """
    texts = [family["text"] for family in answer["families"]]
    if answer["others"] or "metric" in answer["title"]:
        return False
    return all(x.startswith("exp(t) ") or "exp(" not in x for x in texts)


def inferred(own: Mapping[str, Any] | None, base: Mapping[str, Any], *, above: bool) -> dict[str, Any] | None:
    """The better of its own bounds and those that follow; None if its own are as good."""
    unknown = {"laws_found": 0, "laws_at_most": 10**18, "nothing_from_above": True}
    mine, other = own or unknown, dict(base) if above else unknown | {"laws_found": base["laws_found"]}
    found = max(mine["laws_found"], other["laws_found"])
    best = min(mine, other, key=lambda x: x["laws_at_most"])
    if own and found == own["laws_found"] and best["laws_at_most"] == own["laws_at_most"]:
        return None
    bounds = {name: best[name] for name in ("laws_at_most", "nothing_from_above")}
    return {"laws_found": found, **bounds, "complete": found == bounds["laws_at_most"]}


def write(rows: dict[Key, dict[str, Any]], path: Path = DATA) -> None:
    """Write the data in the order of the contents, and remove certificates of rows that are no more."""
    in_order = {key(case): rows[key(case)] for case in cases() if key(case) in rows}
    known(in_order)
    beside = path.with_suffix(".new")
    beside.write_text(
        "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in in_order.values()), encoding="utf-8"
    )
    beside.replace(path)
    kept = {(row["certificate"] or {}).get("file") for row in in_order.values()}
    for file in CERTIFICATES.glob("*.json.gz"):
        if file.name not in kept:
            file.unlink()


def make(words: Sequence[str], *, timeout: float, memory: str, workers: int) -> list[dict[str, Any]]:
    """Work out some rows, put them into the data, and return them."""
    asked = chosen(words)
    if not asked:
        raise SystemExit(f"--only {' '.join(words)}: no row of the atlas begins so")
    name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    journal = HERE.parents[1] / "build" / "atlas" / f"{name}.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    limits: dict[str, Any] = {"timeout": timeout, "memory": memory, "workers": workers}
    swept = conslaw.sweeps.run(
        Row(), asked, count=len(asked), asked={"what": "atlas", "rows": name}, out=journal, **limits
    )
    rows = [finished(row) for row in swept.rows()]
    write(read() | {key(row): row for row in rows})
    journal.unlink()
    return rows


def said(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each row."""
    lines = []
    for row in rows:
        answer, certificate = row["answer"] or {}, row["certificate"] or {}
        laws = f"{answer.get('laws_found', 0):,} of at most {answer.get('laws_at_most', 0):,}"
        lines.append(
            f"{' / '.join(key(row)):60} {row['status']:8} {laws:30} {certificate.get('verdict', '')} "
            f"{row['seconds']:.1f} s {row['reason'] or ''}"
        )
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="rows that begin with this")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each row")
    parser.add_argument("--memory", default="8GB", help="of each worker")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    made = make(given.only, timeout=given.timeout, memory=given.memory, workers=given.workers)
    print(*said(made), sep="\n")
