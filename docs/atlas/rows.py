"""A row of the atlas: a network is read, analyzed, and its certificate verified; what the sweep runs."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from atlas.contents import FLOW

import conslaw

CERTIFICATES = Path(__file__).with_name("certificates")
BUDGET = 20.0  # of the verification of a certificate
MOST_COORDINATES = 1_000_000  # of a state that is written out in a certificate
MOST_ARRAYS = 60  # that have room in a picture
LARGEST = 20_000  # bytes of a compressed certificate that is kept; of a larger one the digest is
NUMBERED = re.compile(r"(?<![\w.])([^\W\d]\w*)\.(\d+)(?=\.)")  # blocks.3.norm: the first number of a path


def model_of(code: str) -> conslaw.Model:
    """What an expression of the contents makes; no weights are needed."""
    import torch
    from atlas import architectures

    from conslaw import networks

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch.export deprecates of its own
        made: conslaw.Model = eval(code, {**vars(architectures), "networks": networks})
    return made


class Row:
    """The function of the sweep."""

    def warm(self) -> None:
        """Import what is needed, before the first case is timed."""
        model_of("conslaw.from_torch(MLP(2, 2), row(2))")

    def __call__(self, case: Mapping[str, Any]) -> dict[str, str]:
        """The answer, as JSON in one column."""
        start = time.process_time()
        model = model_of(case["code"])
        read = time.process_time()
        analysis = conslaw.analyze(FLOW[case["flow"]].of(model), budget=case["budget"])
        analyzed = time.process_time()
        certificate = certified(analysis, case)
        seconds = {
            "read": read - start,
            "analyze": analyzed - read,
            "certify": time.process_time() - analyzed,
        }
        rounded = {name: round(value, 2) for name, value in seconds.items()}
        return self.partial(analysis) | {
            "certificate": json.dumps(certificate),
            "cpu": json.dumps(rounded),
        }

    def partial(self, answer: Any) -> dict[str, str]:
        """The same of an answer that was interrupted, which has no certificate."""
        return {"answer": json.dumps(facts(answer), ensure_ascii=False)}


def facts(analysis: conslaw.answers.Analysis) -> dict[str, Any]:
    """What the pages say of an answer."""
    readings = Counter(reading["operation"] for reading in analysis.readings)
    names = ("title", "about", "parameters", "state_dimension", "laws_found", "laws_at_most", "complete")
    return {
        **{name: getattr(analysis, name) for name in names},
        "error_probability": analysis.error_probability,
        "nothing_from_above": not analysis.lie_ranks[-1],
        "stopped": " ".join(" ".join(analysis.route.remarks()).split()),
        "readings": [[name, many] for name, many in readings.items()],
        "split": None if analysis.split is None else str(analysis.split),
        "families": families(analysis.law_families),
        "others": others(analysis),
        "arrays": arrays(analysis.analyzed.model if analysis.analyzed else None),
    }


def others(analysis: conslaw.answers.Analysis) -> list[str]:
    """The laws that are in no notation: the first, and their beginnings."""
    if sum(family.laws for family in analysis.law_families) == analysis.laws_found:
        return []
    data = analysis.to_json()
    beside = data["laws_beside_families"] if data["laws"] else []
    return [text if len(text) < 300 else text[:300] + " …" for text in (data["laws"][i] for i in beside[:12])]


def families(found: Any) -> list[dict[str, Any]]:
    """The families; those of several blocks that differ by its number are one, with i in its place."""
    alike: dict[tuple[str, str], list[Any]] = {}
    for family in found:
        alike.setdefault((_numberless(family.text), family.kind), []).append(family)
    return [_merged(text, group) for (text, _), group in alike.items()]


def _numberless(text: str) -> str:
    """A law with i in place of the number of its block, if it is about one block."""
    numbers = set(NUMBERED.findall(text))
    return NUMBERED.sub(lambda match: f"{match[1]}.i", text) if len(numbers) == 1 else text


def _merged(text: str, group: list[Any]) -> dict[str, Any]:
    one, laws = group[0], sum(family.laws for family in group)
    shown = {"text": one.text if len(group) == 1 else text, "kind": one.kind, "laws": laws}
    return shown | {"shape": str(one).partition("   ")[2], "blocks": len(group), "degrees": degrees(one)}


def degrees(family: Any) -> list[list[int]] | None:
    """Of each term the degree, that in velocities, and the power of time; None if that is not known."""
    combination = getattr(family, "combination", None)
    if combination is None:
        return None
    names = [[name for name, _ in candidate.factors] for _, candidate in combination.terms]
    found = {(len(x), sum(name.endswith("_dot") for name in x), combination.power) for x in names}
    return [list(one) for one in sorted(found)]


def arrays(model: Any) -> list[list[Any]] | None:
    """The arrays as they are written in laws, and their sizes; None if they are too many for a picture."""
    if model is None or len(model.parameters) > MOST_ARRAYS:
        return None
    names = model.arguments.get("names", {})
    return [[names.get(name, name), prod(shape)] for name, shape in model.parameters.items()]


def certified(analysis: conslaw.answers.Analysis, case: Mapping[str, Any]) -> dict[str, Any] | None:
    """The certificate, verified: its digest, and its file if it is small.  None where nothing is known from
    above and nothing was found, or the network is so large that its coordinates alone would fill 100 MB.
    """
    if not analysis.lie_ranks[-1] and (
        not analysis.laws_found or analysis.state_dimension > MOST_COORDINATES
    ):
        return None
    data = json.dumps(analysis.certificate(), separators=(",", ":")).encode()
    packed = gzip.compress(data, mtime=0)
    kept = name_of(case) if len(packed) <= LARGEST else None
    if kept:
        CERTIFICATES.mkdir(exist_ok=True)
        (CERTIFICATES / kept).write_bytes(packed)
    certificate = json.loads(data)
    verdict = conslaw.verify(certificate, budget=BUDGET).verdict
    digest = hashlib.sha256(data).hexdigest()
    return {
        "sha256": digest,
        "bytes": len(data),
        "claim": certificate["claim"],
        "verdict": verdict,
        "file": kept,
    }


def name_of(case: Mapping[str, Any]) -> str:
    """The file of its certificate."""
    words = f"{case['architecture']} {case['size']} {case['flow']}".lower().replace("×", "x")
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_") + ".json.gz"
