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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from atlas.contents import ATLAS, FLOWS, cases  # noqa: E402
from atlas.rows import CERTIFICATES, Row, name_of  # noqa: E402

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
    row = {name: swept.get(name) for name in names}
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
        other = rows.get((*at[:2], BASE.get(at[2], ""))) or {}
        base = other.get("answer")
        row["theorem"] = None
        refused = (other.get("certificate") or {}).get("verdict") == "FAIL"
        if base and not refused and applies(at[2], base):
            row["theorem"] = inferred(row["answer"], base, above=at[2] == "decay")


def applies(flow: str, base: Mapping[str, Any]) -> bool:
    """Whether the statement on a flow applies to all laws of the one that it infers from."""
    return is_homogeneous(base) if flow == "decay" else is_of_both_kinds(base)


def is_homogeneous(answer: Mapping[str, Any]) -> bool:
    """Whether each law is known to be homogeneous (that of an ICNN is not)."""
    return not answer["others"] and all(len(x.get("degrees") or ()) == 1 for x in answer["families"])


def is_of_both_kinds(answer: Mapping[str, Any]) -> bool:
    """Whether the metric is Euclidean, and each law with momentum exp(t) times one that is linear in the
    velocities, or free of time.
    """
    terms = [term for family in answer["families"] for term in family.get("degrees") or [[0, 0, 2]]]
    fits = all(power == 0 or (power, velocities) == (1, 1) for _, velocities, power in terms)
    return fits and not answer["others"] and "metric" not in answer["title"]


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


def not_asked(at: Key, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A row that only a statement on another flow may fill."""
    nothing = dict.fromkeys(("reason", "seconds", "memory_bytes", "conslaw", "answer", "certificate", "cpu"))
    return (
        dict(zip(KEY, at, strict=True))
        | {"code": asked["code"], "budget": None, "status": "inferred"}
        | nothing
    )


def in_order(rows: Mapping[Key, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of the contents that are there, and those that others fill."""
    asked = {key(case) for case in cases()}
    for *at, _ in (at for at in (key(case) for case in cases()) if at[2] == "gradient"):
        for flow in FLOWS:
            place = (*at, flow.name)
            if place in asked and place in rows:
                yield rows[place]
            elif place not in asked and (*at, "gradient") in rows:
                yield not_asked(place, rows[*at, "gradient"])


def write(rows: Mapping[Key, dict[str, Any]], path: Path = DATA) -> None:
    """Write the data in the order of the contents, and remove certificates of rows that are no more."""
    ordered = {key(row): row for row in in_order(rows)}
    known(ordered)
    kept = [row for row in ordered.values() if row["theorem"] or row["status"] != "inferred"]
    beside = path.with_suffix(".new")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
    wanted = {name_of(case) for case in cases()}
    unwanted = {name_of(row) for row in kept if not (row["certificate"] or {}).get("file")}
    for file in CERTIFICATES.glob("*.json.gz"):
        if file.name not in wanted - unwanted:
            file.unlink()


def make(
    words: Sequence[str], *, timeout: float, memory: str, workers: int, data: Path = DATA
) -> list[dict[str, Any]]:
    """Work out some rows, put them into the data, and return them."""
    asked = chosen(words)
    if not asked:
        raise SystemExit(f"--only {' '.join(words)}: no row of the atlas begins so")
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("architectures.py", "rows.py")]
    name = hashlib.sha256(b"".join([json.dumps(asked).encode(), *sources])).hexdigest()[:12]
    journal = HERE.parents[1] / "build" / "atlas" / f"{name}.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    limits: dict[str, Any] = {"timeout": timeout, "memory": memory, "workers": workers}
    swept = conslaw.sweeps.run(
        Row(), asked, count=len(asked), asked={"what": "atlas", "rows": name}, out=journal, **limits
    )
    rows = [finished(row) for row in swept.rows()]
    write(read(data) | {key(row): row for row in rows}, data)
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
