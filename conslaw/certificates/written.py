"""Certificates: everything that is needed to check both bounds of an analysis again, as one JSON object.

The format is described by ``certificate.schema.json`` beside this file and in the documentation; ``conslaw
verify`` checks it with other code than that which made it (:mod:`conslaw.certificates.verification`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Expression
from conslaw.algebra.finite_field import ONE_PRODUCT, RowSpace
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, terms
from conslaw.errors import ConslawError
from conslaw.flows.coordinates import Coordinate, entries, write
from conslaw.flows.flow import Flow
from conslaw.laws.ansatz import PolynomialLaws
from conslaw.laws.exact_fields import exact_fields, random_sample
from conslaw.laws.group_ranks import Groups
from conslaw.laws.lie import LieRanks, random_start
from conslaw.laws.matrix_ansatz import MatrixLaws
from conslaw.laws.rational import RationalLaws
from conslaw.laws.splitting import Coloured, Split
from conslaw.models.networks import FAMILIES
from conslaw.models.potential import Model
from conslaw.version import __version__

FORMAT, VERSION, KIND = "conslaw certificate", 2, "conservation laws"
SECTIONS = ("claim", "model", "flow", "bounds", "upper", "lower")
DIMENSION, MODEL_DIMENSION = "dimension of a neurovariety", "dimension of a model"  # other kinds
SECTIONS_OF = {
    DIMENSION: ("claim", "network", "bounds", "upper", "lower"),
    MODEL_DIMENSION: ("claim", "model", "bounds", "upper", "lower"),
}


def certificate(
    flow: Flow,
    *,
    upper: LieRanks | Coloured,
    laws: PolynomialLaws | MatrixLaws,
    quotients: RationalLaws | None,
    lower: Split | None,
    laws_found: int,
    seed: int,
) -> dict[str, Any]:
    """The certificate of an analysis, ready for JSON: the run that proves the upper bound, and the laws that
    prove the lower one.

    ``lower`` is the split in which the gradients of the laws were counted, if they were, and ``laws_found``
    their rank.
    """
    model, how = _model(flow), _flow(flow)
    bounds = {
        "state_dimension": flow.dimension,
        "laws_at_most": upper.laws_at_most,
        "laws_found": laws_found,
        "complete": laws_found == upper.laws_at_most,
    }
    written = (
        _families(laws, lower)
        if isinstance(laws, MatrixLaws)
        else _polynomials(flow, laws, quotients, laws_found, seed)
    )
    whole: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": KIND,
        "made_by": f"conslaw {__version__}",
        "claim": claim(model, how, bounds),
        "model": model,
        "flow": how,
        "bounds": bounds,
        "upper": _upper(flow, upper),
        "lower": written,
    }
    return {**whole, "digests": digests(whole)}


def digests(whole: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each section, written as JSON with sorted keys and no spaces."""
    kind = whole.get("kind")
    names = SECTIONS_OF.get(kind, SECTIONS) if isinstance(kind, str) else SECTIONS
    text = {name: json.dumps(whole[name], sort_keys=True, separators=(",", ":")) for name in names}
    return {name: hashlib.sha256(value.encode()).hexdigest() for name, value in text.items()}


def claim(model: Mapping[str, Any] | None, flow: Mapping[str, Any], bounds: Mapping[str, Any]) -> str:
    """What is proved, in words that follow from the other sections."""
    if model is None:
        subject = "the vector fields of this certificate"
    elif flow["fields"] is not None:
        subject = (
            f"the vector fields of this certificate, said to be a {flow['kind']} flow of {model['name']!r}"
        )
    else:
        family = model["family"]
        sizes = (
            "-".join(map(str, family["arguments"]["widths"]))
            + (" with bias" if family["arguments"].get("bias") else "")
            + (f" power {','.join(map(str, powers))}" if (powers := family["arguments"].get("power")) else "")
            if family
            else ""
        )
        words = {name: word for name, word in flow["metric"].items() if word != "euclidean"}
        options = [
            *([f"damping {flow['damping']}"] if flow["damping"] is not None else []),
            *([f"metric {', '.join(f'{name}: {word}' for name, word in words.items())}"] if words else []),
            *([f"weight decay {flow['weight_decay']}"] if flow["weight_decay"] != "0" else []),
        ]
        called = f"{model['name']} {sizes}" if family else f"the model {model['name']!r} of this certificate"
        subject = f"{called}, {flow['kind']} flow" + (f" ({', '.join(options)})" if options else "")
    least, most = bounds["laws_found"], bounds["laws_at_most"]
    number = f"exactly {most}" if least == most else f"at least {least} and at most {most}"
    if model and model.get("readings"):
        subject += ", in the parametrisation that its readings make"
    return f"{subject}: {number} independent conservation law{'s' * (most != 1)} near a generic point"


def _model(flow: Flow) -> dict[str, Any] | None:
    model = flow.model
    if model is None:
        return None
    family = {"name": model.name, "arguments": dict(model.arguments)} if _is_family(model) else None
    shapes = {
        kind: {n: list(s) for n, s in named.items()}
        for kind, named in (("parameters", model.parameters), ("data", model.data))
    }
    return {
        "name": model.name,
        "family": family,
        **shapes,
        "graph": None if family else graph(model.potential),
        **({"readings": [r.to_json() for r in model.readings]} if model.readings else {}),
    }


def _is_family(model: Model) -> bool:
    """Whether a model is what the family of its name makes of its arguments."""
    family, widths = FAMILIES.get(model.name), model.arguments.get("widths")
    if family is None or not isinstance(widths, list):
        return False
    try:
        again = family(widths, bool(model.arguments.get("bias")), model.arguments.get("power"))
    except ConslawError:
        return False
    same = (
        again.parameters == model.parameters
        and again.data == model.data
        and dict(again.arguments) == dict(model.arguments)
    )
    return same and graph(again.potential) == graph(model.potential)


def _flow(flow: Flow) -> dict[str, Any]:
    time = flow.time and {"kind": flow.time.kind, "rate": str(flow.time.rate)}
    fields = None
    if (
        flow.model is None
        or flow.metric_words is None
        or any("-" in word for word in flow.metric_words.values())
    ):
        names = entries(flow.state)
        exact, _ = exact_fields(flow)
        variables = [*names, *entries(flow.data)]
        written = [_texts(x, variables) for x in exact]
        fields = [{c.text(1): text for c, text in zip(names, x, strict=True) if text != "0"} for x in written]
    words = None
    if fields is None and flow.model and flow.metric_words is not None:
        words = {name: flow.metric_words.get(name, "euclidean") for name in flow.model.parameters}
    how = {
        "kind": flow.name if flow.model else "given",
        "damping": flow.damping,
        "weight_decay": flow.weight_decay,
        "metric": words,
        "time": time,
    }
    return {
        **how,
        "state": {n: list(s) for n, s in flow.state.items()},
        "data": {n: list(s) for n, s in flow.data.items()},
        "fields": fields,
    }


def _upper(flow: Flow, bound: LieRanks | Coloured) -> dict[str, Any]:
    if isinstance(bound, Split):
        split = bound.to_json()
        blocks = [
            {name: value for name, value in block.items() if name != "laws"} for block in split["blocks"]
        ]
        return {"method": "subnetworks", **split, "blocks": blocks, "ranks": list(bound.ranks)}
    if isinstance(bound, Groups):
        return {"method": "groups", **bound.to_json(), "ranks": list(bound.ranks)}
    assert isinstance(bound, LieRanks)
    small = bound.prime < ONE_PRODUCT  # such a prime was chosen before the point
    p, point, _ = random_start(flow, bound.seed, bound.prime if small else None)
    values = {name: x[0].reshape(-1).tolist() for name, x in point.items()}
    return {"method": "brackets", "prime": p, "point": values, "ranks": list(bound.ranks), "data": bound.kept}


def _families(laws: MatrixLaws, split: Split | None) -> dict[str, Any]:
    where = None if split is None else split.to_json()
    if where is not None:
        blocks = [
            {name: value for name, value in block.items() if name not in ("ranks", "helped")}
            for block in where["blocks"]
        ]
        where = {name: value for name, value in where.items() if name != "beside"} | {"blocks": blocks}
    return {"method": "families", "split": where, "families": [f.to_json() for f in laws.families]}


def _polynomials(
    flow: Flow, found: PolynomialLaws, quotients: RationalLaws | None, rank: int, first_seed: int
) -> dict[str, Any]:
    names = [Coordinate(c.name, c.index, "log" if c.kind == "log" else "entry") for c in found.coordinates]
    laws = [{"numerator": text, "denominator": None} for text in _texts(found.polynomials, names)]
    if quotients is not None:
        pairs = zip(_texts(quotients.numerators, names), _texts(quotients.denominators, names), strict=True)
        laws += [{"numerator": p, "denominator": q} for p, q in pairs]
    for seed in range(first_seed, first_seed + 4):
        sample = random_sample(flow.dimension, seed)
        space = RowSpace.zero(flow.dimension, sample.prime).extend(found.gradients(sample))
        if (space.extend(quotients.gradients(sample)) if quotients else space).rank == rank:
            break
    used = [
        i for i, c in enumerate(names) if i < flow.dimension or c.kind == "log"
    ]  # the rest stand in no law
    values = sample.values.tolist()
    point = {
        "prime": sample.prime,
        "point": [values[i] for i in used],
        "coordinates": [names[i].text(1) for i in used],
    }
    return {"method": "polynomials", **point, "laws": laws}


def _texts(polynomials: PolynomialArray, names: Sequence[Coordinate]) -> list[str]:
    """Polynomials as text, in entries of arrays (time as the array ``time``)."""
    flat = Polynomials().reshape(polynomials, (int(np.prod(polynomials.shape)),))
    return [write(x, names) for x in terms(flat)]


def graph(potential: Expression) -> list[dict[str, Any]]:
    """Array code as data: its nodes, each after its arguments, the last one the scalar."""
    order = topological_order([potential])
    position = {id(node): i for i, node in enumerate(order)}
    return [
        {
            "operation": x.operation,
            "arguments": [position[id(y)] for y in x.args],
            "shape": list(x.shape),
            "attribute": _attribute(x),
        }
        for x in order
    ]


def _attribute(node: Expression) -> Any:
    if node.operation == "constant":
        values = node.attribute.reshape(-1)
        alike = len(values) > 0 and all(v == values[0] for v in values)
        return [str(v) for v in (values[:1] if alike else values)]
    if node.operation in ("take", "put"):
        return node.attribute.reshape(-1).tolist()
    return list(node.attribute) if isinstance(node.attribute, tuple) else node.attribute
