"""The pages of the atlas, written from ``laws.jsonl`` when the documentation is built: a Sphinx extension."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas.contents import ATLAS, FLOW, FLOWS, Architecture, Size
from atlas.picture import picture

HERE = Path(__file__).parent
Rows = Mapping[tuple[str, str, str], Mapping[str, Any]]

NAMES = {"gradient": "gradient", "decay": "weight decay", "momentum": "momentum", "nesterov": "Nesterov"}
PARTS = {"read": "seconds (CPU): read", "analyze": "analyzed", "certify": "certified"}
VERDICTS = {"ok": "verified", "not checked": "not verified: too much work", "FAIL": "FAILS"}
DECAYED = "those of the gradient flow, times exp(kt/10), k their degree"
INFERRED = {
    "decay": f"By the statement on [weight decay](index.md): {DECAYED}.",
    "nesterov": "By the statement on [Nesterov](index.md): those with momentum, with t³ in place of exp(t), "
    "and tθ̇/2 in place of θ̇ where there is no exp(t).",
}


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before they are read."""
    app.connect("builder-inited", lambda _: write())
    return {"parallel_read_safe": True}


def write() -> None:
    """All pages; those that stay as they are are not touched, so that nothing is built anew."""
    rows = read()
    pages = {"index.md": first(rows)} | {f"{a.page}.md": page(a, rows) for a in ATLAS if _of(a, rows)}
    for name, text in pages.items():
        path = HERE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in HERE.glob("*.md"):
        if path.name not in pages:
            path.unlink()


def read() -> dict[tuple[str, str, str], dict[str, Any]]:
    """The data, by architecture, size and flow."""
    lines = (HERE / "laws.jsonl").read_text(encoding="utf-8").splitlines()
    return {(row["architecture"], row["size"], row["flow"]): row for row in map(json.loads, lines)}


def _of(architecture: Architecture, rows: Rows) -> list[Size]:
    """Its sizes that have rows."""
    return [size for size in architecture.sizes if (architecture.title, size.name, "gradient") in rows]


def number(row: Mapping[str, Any] | None) -> str:
    """How many laws, as proved: 114, 122 … 131, ≥ 64, or a dash; with † if inferred."""
    answer = row and (row["theorem"] or row["answer"])
    if not row or not answer or fails(row):
        return "—"
    found, most = answer["laws_found"], answer["laws_at_most"]
    dagger = " †" if row["theorem"] else ""
    if answer["complete"]:
        return f"**{found:,}**{dagger}"
    if answer["nothing_from_above"]:
        return f"≥ {found:,}{dagger}" if found else "—"
    return f"{found:,} … {most:,}{dagger}"


def fails(row: Mapping[str, Any]) -> bool:
    """Whether its certificate was refused: then nothing is taken for proved."""
    return (row["certificate"] or {}).get("verdict") == "FAIL"


def first(rows: Rows) -> str:
    """The page with the table of all networks."""
    heads = ("network", "parameters", *NAMES.values(), "laws of the gradient flow")
    lines = [f"| {' | '.join(heads)} |", "|---|--:|--:|--:|--:|--:|---|"]
    for architecture in ATLAS:
        for size in _of(architecture, rows):
            mine = [rows.get((architecture.title, size.name, flow.name)) for flow in FLOWS]
            answer = mine[0] and mine[0]["answer"]
            parameters = f"{answer['parameters']:,}" if answer else ""
            link = f"[{architecture.title}]({architecture.page}.md) {size.name}"
            laws = "" if mine[0] and fails(mine[0]) else _few(answer)
            cells = [link, parameters, *(number(row) for row in mine), laws]
            lines.append(f"| {' | '.join(cells)} |")
    script = (HERE / "search.js").read_text(encoding="utf-8")
    parts = {
        "table": [*_table(lines), "```{raw} html", f"<script>\n{script}</script>", "```"],
        "published": _published(rows),
        "pages": ["```{toctree}", ":hidden:", "", *(a.page for a in ATLAS if _of(a, rows)), "```"],
    }
    text = (HERE / "introduction.txt").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", "\n".join(part))
    return text


def _table(lines: Sequence[str]) -> list[str]:
    return ["```{table}", ":class: atlas", *lines, "```", ""]


def _few(answer: Mapping[str, Any] | None) -> str:
    """The first laws, in a cell."""
    if not answer:
        return ""
    texts = [family["text"] for family in answer["families"]] or answer["others"]
    shown = [f"`{text if len(text) < 40 else text[:37] + '…'}`" for text in texts[:2]]
    return ", ".join([*shown, *([f"and {len(texts) - 2} more"] if len(texts) > 2 else [])]) or "none"


def _published(rows: Rows) -> list[str]:
    """How the numbers compare with those of published statements."""
    agree, between, differ = 0, 0, []
    for at, row in rows.items():
        answer, there = row["theorem"] or row["answer"], row["known"]
        if there is None or not answer or fails(row):
            continue
        if not answer["laws_found"] <= there <= answer["laws_at_most"]:
            differ.append(f"- {at[0]} {at[1]}, {FLOW[at[2]].title}: {number(row)} here, {there:,} there.")
        elif answer["complete"]:
            agree += 1
        else:
            between += 1
    text = (
        f"**Against known numbers.** For {agree + between + len(differ)} rows a number is published, or "
        f"follows from a published statement (the pages say which): {agree} agree with what is proved here, "
        f"{between} lie between bounds that do not meet, and {len(differ)} differ{':' if differ else '.'}"
    )
    return [text, *(["", *differ] if differ else [])]


def page(architecture: Architecture, rows: Rows) -> str:
    """The page of an architecture."""
    sizes = _of(architecture, rows)
    lines = [f"# {architecture.title}", "", architecture.about, "", *_picture(architecture, sizes[0], rows)]
    lines += _table(_counts(architecture, sizes, rows))
    if any(size.known for size in sizes):
        lines += [f"*Known*: {architecture.source}.", ""]
    for size in sizes:
        lines += [f"## {size.name}", "", "```python", _code(size), "```", ""]
        for flow in FLOWS:
            row = rows.get((architecture.title, size.name, flow.name))
            lines += _laws(flow.title, row) if row else []
    lines += ["## The network as it is written", ""] if architecture.shown else []
    for shown in architecture.shown:
        file, _, name = shown.rpartition(":")
        lines += [f"```{{literalinclude}} {file}", ":language: python", f":pyobject: {name}", "```", ""]
    return "\n".join([*lines, *_again(architecture, rows)])


def _picture(architecture: Architecture, size: Size, rows: Rows) -> list[str]:
    """Which arrays each law is about."""
    answer = rows[architecture.title, size.name, "gradient"]["answer"]
    drawn = picture(answer) if answer else ""
    if not drawn:
        return []
    text = f"*Laws of the gradient flow of {size.name}: the arrays of each kind, and how many laws it has.*"
    return ["```{raw} html", drawn, "```", "", text, ""]


def _counts(architecture: Architecture, sizes: Sequence[Size], rows: Rows) -> list[str]:
    """A line for each size and flow."""
    lines = [
        f"| {' | '.join(('network', 'flow', 'laws', 'known', *PARTS.values(), 'certificate'))} |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for size in sizes:
        for flow in FLOWS:
            row = rows.get((architecture.title, size.name, flow.name))
            if row:
                spent = row["cpu"] or {}
                seconds = [f"{spent[name]:.1f}" if name in spent else "" for name in PARTS]
                known = "" if row["known"] is None else f"{row['known']:,}"
                cells = [size.name, NAMES[flow.name], number(row), known, *seconds, _certificate(row)]
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def _certificate(row: Mapping[str, Any]) -> str:
    """Its digest, and whether it was verified."""
    made = row["certificate"]
    if not made and row["status"] == "ok" and row["answer"]["laws_found"]:
        return "too large to be written"
    if not made:
        return "" if row["status"] in ("ok", "inferred") else row["status"]
    return f"`{made['sha256'][:12]}` {VERDICTS[made['verdict']]}"


def _code(size: Size) -> str:
    """What makes the model, on lines that fit."""
    code = f"model = {size.code}"
    return code if len(code) < 90 else code.replace("), row(", "),\n    row(")


def _laws(title: str, row: Mapping[str, Any]) -> list[str]:
    """The laws under a flow, and what is proved."""
    answer = row["answer"]
    noun = "law" if number(row) == "**1**" else "laws"
    lines = [f"**{title[0].upper()}{title[1:]}**: {number(row)} {noun}. {_proved(row)}", ""]
    if row["theorem"] or not answer or fails(row) or (_is_decayed(row) and answer["complete"]):
        return lines  # none, or those of another flow, changed as the text says
    for family in answer["families"]:
        blocks, laws = family["blocks"], family["laws"]
        many = f", in {blocks} blocks: {laws:,} laws" if blocks > 1 else ""
        lines.append(f"- `{family['text']}`: {family['shape']}{many}")
    lines += [f"- `{text}`" for text in answer["others"]]
    return [*lines, ""]


def _is_decayed(row: Mapping[str, Any]) -> bool:
    """Whether its laws are homogeneous ones times exponentials."""
    return row["flow"] == "decay" and not row["answer"]["others"]


def _proved(row: Mapping[str, Any]) -> str:
    """What is proved about what."""
    answer = row["answer"]
    if row["theorem"]:
        tried = f" On its own: {answer['laws_found']:,} found. {answer['stopped']}" if answer else ""
        tried = f" On its own: {row['status']}, {row['reason']}." if row["reason"] and not answer else tried
        return f"{INFERRED[row['flow']]}{tried}"
    if not answer:
        return f"Nothing was proved: {row['status']}, {row['reason']}."
    found, most = answer["laws_found"], answer["laws_at_most"]
    if fails(row):
        return f"The answer was {found:,} to {most:,}, its certificate is refused: nothing is proved."
    whose = "of the network" if answer["readings"] else "of the potential"
    about = " of the parametrisation that its readings make" if answer["readings"] else ""
    if answer["complete"] and not found:
        return f"Proved: there are none{about}, near a generic point."
    if answer["complete"]:
        which = f" They are {DECAYED}." if _is_decayed(row) else ""
        return f"Proved: these are laws {whose}, and there are no others{about}, near a generic point.{which}"
    if answer["nothing_from_above"]:
        proved = f"{found:,} independent laws {whose}; nothing is known from above" if found else "nothing"
    else:
        proved = f"{found:,} independent laws {whose}, and at most {most:,}{about}"
    chance = answer["error_probability"]
    probable = f"Probable: exactly {most:,}, except with probability < {chance:.0e}. " if chance else ""
    return f"Proved: {proved}. {probable}{answer['stopped']}".strip()


def _again(architecture: Architecture, rows: Rows) -> list[str]:
    """How to make its rows again, and to verify a certificate."""
    files = [
        (row["certificate"] or {}).get("file") for at, row in rows.items() if at[0] == architecture.title
    ]
    kept = next((file for file in files if file), None)
    lines = ["## Again", "", "```", f'python docs/atlas/make.py --only "{architecture.title}"']
    lines += [f"gunzip -c docs/atlas/certificates/{kept} | conslaw verify --budget 20 -"] if kept else []
    return [*lines, "```", ""]
