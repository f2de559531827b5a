"""Forgery: true certificates of every kind, changed consistently; whatever is accepted must still be true.

The truth is the count of an implementation that shares no code with conslaw (:mod:`independent`).
"""

import copy
import json
import os
from collections import Counter
from functools import cache
from math import prod

import independent
import numpy as np
import pytest
from kinds import FLOWS, G, M, own

import conslaw
from conslaw.certificates.written import claim, digests

COUNT = 2500 if os.environ.get("CI") else 250
SPLIT = {"split": True, "ansatz": "matrix"}


def model(potential, parameters, **data):
    return conslaw.model(potential, parameters=parameters, data=data)


def scaled(p, c):
    return p.a * (c.v @ (p.W @ c.x))


def shifted(p, c):
    return (p.a**3 - 1) * (c.x @ p.u) + p.a * p.b


def doubled(p, c):
    return c.v @ (p.V @ (c.g * (p.U @ c.x + c.s * p.b)))


PLAIN = ["linear", "relu with bias", "momentum", "nesterov", "clock t**(1/2)", "mirror momentum", "quotient"]
PLAIN += ["powers, decay, momentum", "rates and decay", "logarithms", "a metric of one's own", "own model"]
BASES = {name: FLOWS[name] for name in PLAIN} | {
    "split linear": lambda: (G(conslaw.linear([2, 3, 2])), SPLIT),
    "split deep": lambda: (G(conslaw.linear([2, 2, 2, 1])), SPLIT),
    "split relu": lambda: (G(conslaw.relu([2, 3, 2], bias=True)), SPLIT),
    "split momentum": lambda: (M(conslaw.linear([2, 3, 2])), SPLIT),
    "split momentum with bias": lambda: (M(conslaw.linear([2, 2, 1], bias=True), damping=1), SPLIT),
    "split decay": lambda: (G(conslaw.linear([2, 2, 2]), weight_decay=1), SPLIT),
    "split nmf": lambda: (G(conslaw.nmf([2, 3, 2])), SPLIT),
    "split icnn": lambda: (G(conslaw.icnn([2, 2, 2], bias=True)), SPLIT),
    "split own": lambda: (G(own(2)), SPLIT),
    "split scalar": lambda: (G(model(scaled, {"a": (), "W": (2, 2)}, x=(2,), v=(2,))), {"split": True}),
    "split beside": lambda: (G(model(shifted, {"a": (), "b": (), "u": (4,)}, x=(4,))), {"split": True}),
    "split gates": lambda: (
        G(model(doubled, {"U": (3, 2), "V": (2, 3), "b": (3,)}, x=(2,), v=(2,), g=(3,), s=())), SPLIT
    ),
    "families without split": lambda: (G(conslaw.linear([2, 3, 2])), {"ansatz": "matrix", "split": False}),
}  # fmt: skip


@cache
def true(name):
    question = BASES[name]()
    flow, options = question if isinstance(question, tuple) else (question, {})
    return json.dumps(conslaw.analyze(flow, **options).certificate())


@cache
def truth(text):
    subject = json.loads(text)
    return independent.laws(subject["model"], subject["flow"])


# mutations: each changes a certificate in place, with a random generator to choose; KeyError: does not apply


def some(rng, values):
    values = list(values)
    if not values:
        raise KeyError
    return values[rng.integers(len(values))]


def ranks_of(c):
    upper = c["upper"]
    places = (
        [upper] if upper["method"] == "brackets" else [*upper["blocks"], *filter(None, [upper["beside"]])]
    )
    return [place["ranks"] for place in places]


def a_rank(c, rng):
    ranks = some(rng, ranks_of(c))
    kind = rng.integers(4)
    if kind == 0:
        ranks[-1] += 1
    elif kind == 1:
        ranks[:0] = [0] * int(rng.integers(1, 5))
    elif kind == 2:
        ranks.append(ranks[-1] + int(rng.integers(2)))
    else:
        ranks[:] = [c["bounds"]["state_dimension"]]


def a_point(c, rng):
    upper = c["upper"]
    if upper["method"] != "brackets":
        upper["seed"] = int(rng.integers(100))
        return
    for name in upper["point"] if rng.integers(2) else [some(rng, upper["point"])]:
        value = int(rng.integers(2) * rng.integers(upper["prime"]))
        upper["point"][name] = [value] * len(upper["point"][name])


def a_prime(c, rng):
    place = some(rng, [x for x in (c["upper"], c["lower"], c["lower"].get("split")) if x and "prime" in x])
    place["prime"] = int(some(rng, [2**31 - 1, 1048583, 2**30 + 3, 2**31 - 19, 7, 2]))


def splits_of(c):
    return [x for x in (c["upper"], c["lower"].get("split")) if x and "colours" in x]


def vanishing(c, rng):
    split = some(rng, splits_of(c))
    names = list(c["flow"]["state"])
    chosen = [n for n in names if rng.integers(2)]
    if rng.integers(2):  # with their velocities
        chosen = [n for n in chosen if not n.endswith("_dot")]
        chosen += [f"{n}_dot" for n in chosen if f"{n}_dot" in names]
    split["zero"] = chosen


def flips(c, rng):
    split = some(rng, splits_of(c))
    shapes = {**c["model"]["parameters"], **c["model"]["data"]}
    if not split["sign_flips"] or rng.integers(2):
        split["sign_flips"] = {n: rng.integers(0, 2, len(s)).tolist() for n, s in shapes.items()}
    else:
        turn = split["sign_flips"][some(rng, [n for n, t in split["sign_flips"].items() if t])]
        turn[rng.integers(len(turn))] ^= 1


def classes(c, rng):
    split = some(rng, splits_of(c))
    groups, kind = split["classes"], rng.integers(4)
    if kind == 0 and len(groups) > 1:
        groups[0] += groups.pop()
    elif kind == 1:
        groups.pop(int(rng.integers(len(groups))))
    elif kind == 2:
        some(rng, groups).pop()
    else:
        groups.reverse()


def recount(c, split, colouring):
    """Colours as given; blocks with the copies, dimensions and ranks that would fit."""
    from conslaw.certificates.subject import Subject
    from conslaw.certificates.subnetworks import Network

    split["colours"] = [[list(w), n] for w, n in colouring.items()]
    subject = Subject(c)
    subject.build()
    subject.derive()
    network, blocks = Network(subject, split), []
    for colours, copies in network.shapes():
        seen = (small := network.small(colours)).of_state(small.colours)
        dimension = int(seen.all(axis=1).sum())
        if dimension:
            kept = {"ranks": [max(0, dimension - 1), dimension]} if "beside" in split else {"laws": dimension}
            blocks.append(
                {"colours": [list(w) for w in colours], "copies": copies, "dimension": dimension, **kept}
            )
    split["blocks"] = blocks


def colours(c, rng):
    split = some(rng, splits_of(c))
    colouring = Counter({tuple(w): n for w, n in split["colours"]})
    kind = rng.integers(3)
    if kind == 0 and colouring.total() > 1:  # two become one
        one, two = list(colouring.elements())[:2]
        colouring = colouring - Counter([one, two]) + Counter([tuple(map(sum, zip(one, two, strict=True)))])
    elif kind == 1:  # one becomes two, perhaps of no width in some class
        one = some(rng, colouring)
        half = tuple(int(rng.integers(n + 1)) for n in one)
        rest = tuple(a - b for a, b in zip(one, half, strict=True))
        colouring = colouring - Counter([one]) + Counter([half, rest])
    else:
        colouring[some(rng, colouring)] += 1
    try:
        recount(c, split, colouring)
    except Exception:  # the forger gives up
        raise KeyError from None


def blocks(c, rng):
    split = some(rng, splits_of(c))
    kind, block = rng.integers(4), some(rng, split["blocks"])
    if kind == 0:
        block["copies"] += int(rng.integers(-1, 2))
    elif kind == 1:
        block["dimension"] += int(rng.integers(-1, 2))
    elif kind == 2:
        split["blocks"].remove(block)
    else:
        split["blocks"].append(copy.deepcopy(block))


def beside(c, rng):
    upper = c["upper"]
    if upper["method"] != "subnetworks":
        raise KeyError
    if upper["beside"] is None or rng.integers(2):
        block = some(rng, upper["blocks"])
        upper["beside"] = {"colours": block["colours"], "ranks": [block["ranks"][-1] + 1], "rank": 1}
    else:
        upper["beside"]["rank"] += 1


def nodes(c, rng):
    graph = c["model"]["graph"]
    if not graph:
        raise KeyError
    node, kind = some(rng, graph), rng.integers(7)
    if kind == 0:
        node["arguments"].append(int(rng.integers(len(graph))))
    elif kind == 1:
        node["arguments"].reverse()
    elif kind == 2 and isinstance(node["attribute"], list) and node["attribute"]:
        k = int(rng.integers(len(node["attribute"])))
        node["attribute"][k] = some(rng, [-1, 0, 99, "2", "aa", "b", "1/2", "01", node["attribute"][0]])
    elif kind == 3 and isinstance(node["attribute"], list):
        node["attribute"].append(some(rng, [0, "1", "a"]))
    elif kind == 4:
        node["shape"] = node["shape"][::-1]
    elif kind == 5 and node["arguments"]:
        node["arguments"][0] = int(rng.integers(len(graph)))
    else:
        graph.append({"operation": "add", "arguments": [len(graph) - 1] * 2, "shape": [], "attribute": None})


def arguments(c, rng):
    family = c["model"]["family"]
    if family is None:
        raise KeyError
    if rng.integers(2):
        family["arguments"]["bias"] = not family["arguments"].get("bias", False)
    widths = family["arguments"]["widths"]
    widths[rng.integers(len(widths))] = int(rng.integers(1, 4))
    made = getattr(conslaw, family["name"])
    try:
        options = (
            {"bias": family["arguments"]["bias"]} if family["name"] in ("linear", "relu", "icnn") else {}
        )
        new = made(widths, **options)
    except conslaw.ConslawError:
        raise KeyError from None
    shapes = {"parameters": dict(new.parameters), "data": dict(new.data)}
    c["model"].update(json.loads(json.dumps(shapes)))
    flow = c["flow"]
    if flow["kind"] == "gradient" and flow["weight_decay"] == "0":
        flow["state"], flow["data"] = c["model"]["parameters"], c["model"]["data"]


def laws(c, rng):
    lower = c["lower"]
    if lower["method"] != "polynomials" or not lower["laws"]:
        raise KeyError
    law, other, kind = some(rng, lower["laws"]), some(rng, lower["laws"]), rng.integers(9)
    names = lower["coordinates"]
    if kind == 0:
        lower["laws"].append(copy.deepcopy(law))
    elif kind == 1:
        terms = law["numerator"].split(" ")
        law["numerator"] = " ".join(terms[:-2]) or terms[0]
    elif kind == 2:
        law["denominator"] = some(rng, [other["numerator"], "1", "0", some(rng, names)])
    elif kind == 3:
        lower["laws"].append({"numerator": some(rng, names), "denominator": None})
    elif kind == 4:
        law["numerator"] = law["numerator"].replace(some(rng, names), some(rng, names))
    elif kind == 5:
        lower["laws"].append({"numerator": f"2*{some(rng, names)}**2 - 1", "denominator": None})
    elif kind == 6:
        lower["coordinates"].append(f"log({some(rng, names)})")
        lower["point"].append(5)
        lower["laws"].append({"numerator": lower["coordinates"][-1], "denominator": None})
    elif kind == 7:
        lower["point"] = [0] * len(names)
    else:
        names.reverse()


def families(c, rng):
    lower = c["lower"]
    if lower["method"] != "families" or not lower["families"]:
        raise KeyError
    one, kind = some(rng, lower["families"]), rng.integers(7)
    if kind == 0:
        lower["families"].append(copy.deepcopy(one))
    elif kind == 1:
        some(rng, one["terms"])["coefficient"] *= int(rng.integers(-2, 3))
    elif kind == 2:
        one["time_power"] += int(rng.integers(1, 3))
    elif kind == 3:
        one["terms"].pop()
    elif kind == 4:
        one["laws"] += int(rng.integers(-1, 3))
    elif kind == 5:
        one["kind"] = some(rng, ["symmetric", "skew", "array", "vector", "scalar"])
    else:
        lower["split"] = None if lower["split"] else {**c["upper"]}


def words(c, rng):
    flow, kind = c["flow"], rng.integers(5)
    if kind == 0 and flow["damping"] is not None:
        flow["damping"] = some(rng, ["0", "0/t", "1", "3/t", "2/4", "\uff11", "1/2", "01"])
    elif kind == 1:
        flow["weight_decay"] = some(rng, ["0", "1", "1/3", "2/2", "0/1"])
    elif kind == 2 and flow["metric"]:
        name = some(rng, flow["metric"])
        flow["metric"][name] = some(rng, ["euclidean", "z**1", "z**0", "z**01", "2", "2/4", "1e0", "+1", "z"])
    elif kind == 3:
        flow["kind"] = some(rng, ["gradient", "momentum", "given"])
    elif flow["fields"] is not None:
        field = some(rng, flow["fields"])
        field[some(rng, field)] = some(rng, ["0", "1", *field.values()])


def data(c, rng):
    arrays = c["model"]["data"] if c["model"] else {}
    name = some(rng, arrays)
    for place in (arrays, c["flow"]["data"]):
        place.pop(name, None)


MUTATIONS = [
    a_rank,
    a_point,
    a_prime,
    vanishing,
    flips,
    classes,
    colours,
    blocks,
    beside,
    nodes,
    arguments,
    laws,
]
MUTATIONS += [families, words, data]


def consistent(c):
    """What depends on the rest, as the forger would have it."""
    upper, lower, n = c["upper"], c["lower"], sum(map(prod, c["flow"]["state"].values()))
    if upper["method"] == "subnetworks":
        every = [b["ranks"] for b in upper["blocks"]] + (
            [upper["beside"]["ranks"]] if upper["beside"] else []
        )
        drift = int("time" in c["flow"]["state"])
        sums = [
            drift + sum(b["copies"] * b["ranks"][min(d, len(b["ranks"]) - 1)] for b in upper["blocks"])
            for d in range(max(map(len, every), default=1))
        ]
        upper["ranks"] = [*sums[:-1], sums[-1] + (upper["beside"]["rank"] if upper["beside"] else 0)]
    if lower["method"] == "families":
        found = sum(one["laws"] for one in lower["families"])
    else:
        found = c["bounds"]["laws_found"]
    most = max(0, n - upper["ranks"][-1])
    c["bounds"] = {"state_dimension": n, "laws_at_most": most, "laws_found": found, "complete": found == most}
    c["claim"] = claim(c["model"], c["flow"], c["bounds"])
    c["digests"] = digests(c)


def forge(rng):
    """A forged certificate, and what was done to it."""
    name = some(rng, BASES)
    c, done = json.loads(true(name)), [name]
    for _ in range(int(rng.integers(1, 4))):
        mutation, before = some(rng, MUTATIONS), copy.deepcopy(c)
        try:
            mutation(c, rng)
            done.append(mutation.__name__)
        except (KeyError, IndexError, ValueError):
            c = before
    try:
        consistent(c)
        if not rng.integers(3) and c["lower"]["method"] == "polynomials":  # as many laws as will be found
            c["bounds"]["laws_found"] = int(rng.integers(c["bounds"]["state_dimension"] + 1))
            c["bounds"]["complete"] = c["bounds"]["laws_found"] == c["bounds"]["laws_at_most"]
            c["claim"] = claim(c["model"], c["flow"], c["bounds"])
            c["digests"] = digests(c)
    except (KeyError, IndexError, TypeError, ValueError):
        return None, done
    return c, done


@pytest.mark.parametrize("part", range(10))
def test_whatever_is_accepted_is_true(part):
    accepted = changed = 0
    for number in range(part, COUNT, 10):
        forged, done = forge(np.random.default_rng([2024, number]))
        if forged is None:
            continue
        try:
            result = conslaw.verify(forged)
        except conslaw.ConslawError:
            continue
        assert not any(
            "Error" in check.found and "ConslawError" not in check.found for check in result.checks
        ), result
        if result.ok:
            accepted += 1
            changed += json.dumps(forged) != true(done[0])
            laws = truth(json.dumps({"model": forged["model"], "flow": forged["flow"]}))
            bounds = forged["bounds"]
            assert bounds["laws_found"] <= laws <= bounds["laws_at_most"], (done, laws, bounds)
    assert changed >= COUNT // 300, "hardly anything harmless was accepted: the test would be vacuous"


@pytest.mark.parametrize("name", BASES)
def test_what_was_not_forged_is_accepted_and_true(name):
    certificate = json.loads(true(name))
    result = conslaw.verify(certificate)
    assert result.ok, str(result)
    bounds, laws = (
        certificate["bounds"],
        truth(json.dumps({"model": certificate["model"], "flow": certificate["flow"]})),
    )
    assert bounds["laws_found"] <= laws <= bounds["laws_at_most"]
