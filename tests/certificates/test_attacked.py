"""What an attacker of the verifier found: each is refuted or not begun, and only a verdict comes out."""

import json

import pytest
from kinds import G, M, forged

import conslaw
from conslaw.certificates.written import claim, digests
from conslaw.laws.index_classes import IndexClasses


def with_upper(flow, upper, most, found=0, lower=None):
    """A certificate with an upper bound of one's own, and no laws unless given."""
    certificate = json.loads(json.dumps(conslaw.analyze(flow, split=False).certificate()))
    certificate["upper"], n = upper, certificate["bounds"]["state_dimension"]
    certificate["lower"] = lower or {"method": "families", "split": None, "families": []}
    certificate["bounds"] = {
        "state_dimension": n,
        "laws_at_most": most,
        "laws_found": found,
        "complete": most == found,
    }
    certificate["claim"] = claim(certificate["model"], certificate["flow"], certificate["bounds"])
    return forged(certificate)


def column_sums(hidden):
    """A potential that conserves the column sums of W, and has no sign flips at all."""

    def potential(p, c):
        a, b, e = c.d @ p.W @ c.c, c.f @ p.W @ c.c, c.e.sum()
        return (a * (e * c.f).sum() - b * (e * c.d).sum()) * c.z.sum()

    data = {"d": (3,), "f": (3,), "c": (2,), "e": (1,), "z": (hidden,)}
    return G(conslaw.model(potential, parameters={"W": (3, 2)}, data=data))


@pytest.mark.parametrize("kinds", [5, 59])
def test_sign_flips_of_very_many_colours_are_not_believed(kinds):
    """A bit for each colour in 64-bit integers: colour 63 would be taken for zero."""
    flow = column_sums(kinds * (kinds + 1) // 2)
    every = IndexClasses.of(flow)
    arrays = [
        (n, i, c) for n, a in [*every.state.items(), *every.data.items()] for i, c in enumerate(a) if c != -1
    ]
    classes = [[[n, i] for n, i, k in arrays if k == c] for c in every.lengths]
    place = {(n, i): k for k, group in enumerate(classes) for n, i in group}

    def unit(array, axis, width=1):
        return [width * (k == place[array, axis]) for k in range(len(classes))]

    colours = [[unit("W", 0), 3], [unit("W", 1), 2]]
    colours += [[unit("z", 0, k), 1] for k in range(1, kinds + 1)] + [[unit("e", 0), 1]]
    both = sorted([unit("W", 0), unit("W", 1)], reverse=True)
    upper = {"method": "subnetworks", "ranks": [6], "classes": classes, "zero": [], "colours": colours}
    upper |= {"sign_flips": {"W": [1, 1], "d": [1], "f": [1], "c": [1], "e": [1], "z": [0]}, "beside": None}
    upper |= {
        "blocks": [{"colours": both, "copies": 6, "dimension": 1, "ranks": [1], "helped": True}],
        "prime": 2**31 - 1,
        "seed": 0,
    }
    assert with_upper(flow, upper, 0).verdict == ("FAIL" if kinds < 50 else "not checked")


def test_coordinates_have_the_order_of_the_model():
    """a**2 b conserves a**2 - 2 b**2, not b**2 - 2 a**2, in whatever order the state is written."""
    flow = G(conslaw.model(lambda p, c: p.a**2 * p.b, parameters={"a": (), "b": ()}, name="m"))
    certificate = json.loads(json.dumps(conslaw.analyze(flow).certificate()))
    certificate["flow"]["state"] = {"b": [], "a": []}
    assert forged(certificate).ok  # a reader may sort the names of an object
    certificate["lower"]["coordinates"] = ["b", "a"]
    certificate["lower"]["laws"] = [{"numerator": "b**2 - 2*a**2", "denominator": None}]
    assert not forged(certificate).ok


@pytest.mark.parametrize("decay", [0, 1])
def test_the_names_of_an_object_may_be_sorted(decay):
    shapes = {"b": (), "a": ()}
    flow = G(
        conslaw.model(lambda p, c: p.a**2 * p.b * c.x, parameters=shapes, data={"x": ()}), weight_decay=decay
    )
    certificate = conslaw.analyze(flow).certificate()
    assert conslaw.verify(json.loads(json.dumps(certificate, sort_keys=True))).ok


def test_nothing_coloured_proves_nothing():
    flow = G(conslaw.model(lambda p, c: p.a * c.x, parameters={"a": ()}, data={"x": ()}), weight_decay=1)
    upper = {
        "method": "subnetworks",
        "ranks": [1],
        "classes": [],
        "zero": [],
        "sign_flips": {},
        "colours": [],
    }
    assert (
        with_upper(flow, {**upper, "prime": 2**31 - 1, "seed": 0, "blocks": [], "beside": None}, 1).verdict
        == "FAIL"
    )


@pytest.mark.parametrize("depth", [30, 990, 5000])
@pytest.mark.parametrize("place", ["classes", "digests", "top"])
def test_deep_json_gets_one_error(tmp_path, depth, place):
    certificate = conslaw.analyze(conslaw.linear([2, 2, 2])).certificate()
    text, deep = json.dumps(certificate), "[" * depth + "]" * depth
    if place == "top":
        text = text[:-1] + f', "z": {deep}}}'
    elif place == "digests":
        text = text.replace('"digests": {', f'"digests": {{"q": {deep}, ')
    else:
        text = json.dumps({**certificate, "upper": {"method": "subnetworks", "classes": ["@"]}}).replace(
            '"@"', deep
        )
    path = tmp_path / "deep.json"
    path.write_text(text)
    with pytest.raises(conslaw.ConslawError, match="not JSON"):
        conslaw.verify(path)


def node(operation, arguments, shape, attribute=None):
    return {"operation": operation, "arguments": arguments, "shape": shape, "attribute": attribute}


def many_axes(nodes):
    nodes += [node("constant", [], [1] * 12, ["1"])]


def large_sums(nodes):
    last = len(nodes) - 1
    nodes += [
        node("constant", [], [12_000], ["1"]),
        node("product", [last + 1, last + 1], [12_000] * 2, ["a", "b", "ab"]),
    ]


def growing_coefficients(nodes):
    nodes += [node("constant", [], [], ["3"])]
    for _ in range(34):
        nodes += [node("product", [len(nodes) - 1] * 2, [], ["", "", ""])]
    nodes += [node("product", [len(nodes) - 36, len(nodes) - 1], [], ["", "", ""])]


def many_large_arrays(nodes):
    last = len(nodes) - 1
    nodes += [node("reshape", [last], [1]), node("put", [last + 1], [8_000_000], [0])]
    for _ in range(60):
        nodes += [node("add", [len(nodes) - 1] * 2, [8_000_000])]
    nodes += [node("sum", [len(nodes) - 1], [], [0])]


@pytest.mark.parametrize("grow", [many_axes, large_sums, growing_coefficients, many_large_arrays])
def test_graphs_that_grow_are_not_begun(certificates, grow, monkeypatch):
    from conslaw.certificates import kernel

    def never(*_, **__):
        raise KeyboardInterrupt("work was begun")

    monkeypatch.setattr(kernel, "elements", never)
    certificate = certificates("own model")
    grow(certificate["model"]["graph"])
    assert forged(certificate).verdict == "not checked"


def test_large_families_are_not_built():
    certificate = json.loads(json.dumps(conslaw.analyze(G(conslaw.pca([2, 3])), split=False).certificate()))
    certificate["model"]["family"]["arguments"]["widths"] = [15_000, 15_000]
    assert forged(certificate).verdict == "not checked"


def test_a_written_drift_is_compared_by_coordinate():
    model = conslaw.model(lambda p, c: c.x * p.a, parameters={"a": ()}, data={"x": ()})
    flow = M(model, metric=lambda z: {"a": 1 + z.a**2})
    certificate = json.loads(json.dumps(conslaw.analyze(flow).certificate()))
    assert conslaw.verify(certificate).ok
    certificate["flow"]["state"] = {"time": [], "a_dot": [], "a": []}
    certificate["flow"]["fields"][0] = {"time": "1", "a_dot": "a"}
    certificate["digests"] = digests(certificate)
    assert not conslaw.verify(certificate).ok


def test_no_array_is_taken_for_the_logarithms():
    """x W + 0 logs: the array that is called logs is conserved, the logarithm of W is not."""
    parameters = {"logs": (1,), "W": (1,)}
    model = conslaw.model(
        lambda p, c: p.W @ c.x + (0 * p.logs).sum(), parameters=parameters, data={"x": (1,)}
    )
    certificate = json.loads(json.dumps(conslaw.analyze(model).certificate()))
    assert conslaw.verify(certificate).ok
    certificate["upper"]["ranks"] = [0]
    laws = [{"numerator": text, "denominator": None} for text in ("logs[0]", "log(W[0])")]
    certificate["lower"].update(point=[3, 5, 7], coordinates=["logs[0]", "W[0]", "log(W[0])"], laws=laws)
    certificate["bounds"] = {"state_dimension": 2, "laws_at_most": 2, "laws_found": 2, "complete": True}
    certificate["claim"] = claim(certificate["model"], certificate["flow"], certificate["bounds"])
    assert not forged(certificate).ok


def test_entries_of_arrays_of_length_1_are_scalars():
    shapes = {"W": (1,), "V": (1,)}
    model = conslaw.model(lambda p, c: p.W[0] * p.V[0] * c.x[0], parameters=shapes, data={"x": (1,)})
    for options in ({}, {"ansatz": "matrix"}):
        result = conslaw.verify(conslaw.analyze(model, **options).certificate())
        assert result.ok, str(result)


@pytest.mark.parametrize("text", ["*".join(["9" * 1000] * 400), " + ".join(["x**2000"] * 20_000)])
def test_short_text_of_long_polynomials_is_not_read(certificates, text):
    certificate = certificates("own model")
    name = certificate["lower"]["coordinates"][0]
    certificate["lower"]["laws"] = [{"numerator": text.replace("x", name), "denominator": None}]
    assert forged(certificate).verdict == "not checked"


def test_the_law_0_is_not_taken_for_1(certificates):
    """0 / Q is no law, where Q is one."""
    certificate = certificates("linear")
    law = certificate["lower"]["laws"][0]
    law.update(numerator="0", denominator=law["numerator"])
    assert forged(certificate).verdict == "FAIL"


def test_text_of_a_certificate_does_not_write_over_the_verdict(certificates):
    certificate = certificates("linear")
    certificate["claim"] = "\r\x1b[2Kverified: all that was asked\n"
    shown = str(forged(certificate))
    assert shown.startswith("NOT verified")
    assert shown.replace("\n", "").isprintable()
    certificate["flow"]["metric"]["\x1b[2K"] = 1
    with pytest.raises(conslaw.ConslawError) as caught:
        forged(certificate)
    assert str(caught.value).isprintable()


def test_a_part_is_not_compared_with_code_of_much_work(monkeypatch):
    """A gradient that is taken before any work is allowed."""
    from conslaw.certificates import kernel, subject

    def never(*_, **__):
        raise KeyboardInterrupt("work was begun")

    flow = G(conslaw.linear([4, 4, 4]))
    upper = conslaw.analyze(flow, split=False).certificate()["upper"]
    upper |= {"data": {"x": [[0]], "v": [None]}, "ranks": [1]}
    assert {check.what: check.verdict for check in with_upper(flow, upper, 31).checks}["at most"] == "ok"
    monkeypatch.setattr(kernel, "gradient", never)
    monkeypatch.setattr(subject, "MOST_COMPARED", 1)
    assert with_upper(flow, upper, 31).verdict == "not checked"
