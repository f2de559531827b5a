"""Values of laws at weights, and answers that are saved and come back: as a user would type it."""

import json
import warnings

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import conslaw
import conslaw.saved
from conslaw.command_line import main

G, M = conslaw.gradient_flow, conslaw.momentum_flow
RADIAL = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="radial")
FLOWS = {  # flow, whether there are velocities, the time
    "linear": (lambda: G(conslaw.linear([3, 2, 4])), False, None),
    "biases": (lambda: G(conslaw.linear([3, 2, 4], bias=True)), False, None),
    "relu": (lambda: G(conslaw.relu([3, 4, 2], bias=True)), False, None),
    "determinants": (lambda: G(conslaw.linear([1, 2, 1])), False, None),
    "decay": (lambda: G(conslaw.linear([2, 3, 2]), weight_decay="1/3"), False, 0.7),
    "momentum": (lambda: M(conslaw.linear([2, 2, 2])), True, None),
    "heavy ball": (lambda: M(conslaw.linear([2, 2, 2]), damping="1/2"), True, 0.7),
    "nesterov": (lambda: M(conslaw.linear([2, 3, 2]), damping="nesterov"), True, 1.3),
    "roots of time": (
        lambda: M(conslaw.linear([1, 2, 2]), damping="3/2/t".replace("3/2/t", "1/t")),
        True,
        2.0,
    ),
    "logarithms": (lambda: conslaw.analyze(conslaw.nmf([1, 2, 1])).given, False, None),
    "quotient": (lambda: G(RADIAL), False, None),
}


def drawn(flow, rng, moving):
    weights = {n: np.abs(rng.normal(size=s)) for n, s in flow.model.parameters.items()}
    velocities = {n: rng.normal(size=s) for n, s in flow.model.parameters.items()}
    return weights, velocities if moving else None


def substitution(weights, velocities, time):
    """The same point for SymPy."""
    arrays = {**weights, **{f"{n}_dot": x for n, x in (velocities or {}).items()}}
    found = {sympy.Symbol("t"): time} if time is not None else {}
    for name, x in arrays.items():
        if np.ndim(x) == 0:
            found[sympy.Symbol(name)] = float(x)
        else:
            found |= {sympy.IndexedBase(name)[i]: float(x[i]) for i in np.ndindex(*np.shape(x))}
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_values_are_those_of_the_laws_also_when_read_back(name):
    make, moving, time = FLOWS[name]
    flow, rng = make(), np.random.default_rng(0)
    analysis = conslaw.analyze(flow)
    loaded = conslaw.load(json.dumps(analysis.to_json()))
    weights, velocities = drawn(flow, rng, moving)
    values = analysis.evaluate(weights, velocities, time)
    point = substitution(weights, velocities, time)
    again = loaded.evaluate(weights, velocities, time)
    assert list(values) == list(again)
    assert all(np.array_equal(values[law], again[law]) for law in values)
    families = {family.text: family for family in analysis.law_families}
    assert list(values)[: len(families)] == list(families)
    for text, value in values.items():
        if text not in families:
            assert value.shape == ()
            assert float(value) == pytest.approx(
                float(conslaw.parse_law(text).subs(point)), rel=1e-9, abs=1e-9
            )
            continue
        for index in np.ndindex(*value.shape):
            law = families[text].law(*index)
            assert value[index] == pytest.approx(float(law.subs(point)), rel=1e-9, abs=1e-9)
        assert np.array_equal(families[text].evaluate(weights, velocities, time), value)
        [same] = [x for x in loaded.law_families if x.text == text]
        assert same.law(*[0] * value.ndim) == families[text].law(*[0] * value.ndim)


@settings(max_examples=10, deadline=None)
@given(widths=st.lists(st.integers(1, 4), min_size=3, max_size=5), seed=st.integers(0, 99))
def test_values_of_a_linear_network_are_those_of_the_theorem(widths, seed):
    """Du, Hu and Lee 2018: W1 W1' - W2' W2 and so on, in NumPy."""
    rng = np.random.default_rng(seed)
    net = conslaw.linear(widths)
    w = {n: rng.normal(size=s) for n, s in net.parameters.items()}
    values = conslaw.analyze(net).evaluate(w)
    for k in range(1, len(widths) - 1):
        one, two = f"W{k}", f"W{k + 1}"
        expected = w[one] @ w[one].T - w[two].T @ w[two]
        found = [x for text, x in values.items() if one in text and two in text and x.shape == expected.shape]
        assert widths[k] == 1 or any(np.allclose(x, expected) or np.allclose(x, -expected) for x in found)


def test_values_of_modules_in_their_own_names():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    analysis = conslaw.analyze(conslaw.from_torch(net, torch.zeros(1, 3)))
    [(law, values)] = analysis.evaluate(net).items()
    assert "0.weight" in law
    w, b, v = (p.detach().double().numpy() for p in (net[0].weight, net[0].bias, net[2].weight))
    assert np.allclose(values, (w**2).sum(axis=1) + b**2 - (v**2).sum(axis=0))
    assert np.array_equal(conslaw.load(analysis.to_json()).evaluate(net.state_dict())[law], values)
    assert conslaw.count(analysis.given, point=net).laws_at_most == 4
    assert conslaw.count(analysis.given, point=net.state_dict()).laws_at_most == 4

    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.MultiheadAttention(8, 2)

        def forward(self, x):
            return self.a(x, x, x)[0]

    heads = Attention()
    analysis = conslaw.analyze(conslaw.from_torch(heads, torch.zeros(3, 1, 8)))  # arrays in pieces
    values = analysis.evaluate(heads)
    packed = heads.a.in_proj_weight.detach().double().numpy()
    q, k = packed[:8].reshape(2, 4, 8), packed[8:16].reshape(2, 4, 8)
    bias = heads.a.in_proj_bias.detach().double().numpy()[:8].reshape(2, 4)
    expected = q @ q.swapaxes(1, 2) - k @ k.swapaxes(1, 2) + bias[:, :, None] * bias[:, None, :]
    assert any(x.shape == (2, 4, 4) and np.allclose(x, expected) for x in values.values())
    with pytest.raises(conslaw.ConslawError, match="no part"):
        analysis.evaluate({**heads.state_dict(), "a.in_proj_weight": np.zeros((3, 3))})


def test_a_million_parameters_are_evaluated():
    analysis = conslaw.analyze(conslaw.linear([1000, 500, 1000]))
    rng = np.random.default_rng(0)
    w = {"W1": rng.normal(size=(500, 1000)), "W2": rng.normal(size=(1000, 500))}
    [value] = analysis.evaluate(w).values()
    assert np.allclose(value, w["W1"] @ w["W1"].T - w["W2"].T @ w["W2"])


def test_what_is_not_defined_is_nan():
    analysis = conslaw.analyze(RADIAL)
    assert np.isnan(analysis.evaluate({"x": 0, "y": 1})["y/x"])
    logs = conslaw.analyze(conslaw.nmf([1, 2, 1]))
    values = logs.evaluate({"U": [[-1, 2]], "V": [[1], [1]]})
    assert any(np.isnan(x).all() for x in values.values())


GOOD = {"W1": np.ones((2, 3)), "W2": np.ones((4, 2))}
BAD_WEIGHTS = {
    "missing": (({"W1": GOOD["W1"]},), {}, "no 'W2'"),
    "misspelt": (({"w1": GOOD["W1"], "W2": GOOD["W2"]},), {}, "no 'W1', but w1, W2"),
    "shape": (({**GOOD, "W1": np.ones((3, 2))},), {}, r"W1 has shape \(3, 2\), where the model has \(2, 3\)"),
    "nan": (({**GOOD, "W1": np.full((2, 3), np.nan)},), {}, "NaN"),
    "complex": (({**GOOD, "W1": np.ones((2, 3)) * 1j},), {}, "real numbers"),
    "text": (({**GOOD, "W1": [["a"] * 3] * 2},), {}, "real numbers"),
    "no mapping": ((3,), {}, "give a mapping of arrays"),
    "none": ((None,), {}, "give a mapping of arrays"),
    "velocities": ((GOOD, GOOD), {}, "no velocities"),
    "time": ((GOOD,), {"time": 1}, "do not depend on time"),
    "names": ((GOOD,), {"names": {"W7": "a"}}, "names="),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights_that_do_not_fit_are_refused_in_one_line(name):
    arguments, named, message = BAD_WEIGHTS[name]
    analysis = conslaw.analyze(conslaw.linear([3, 2, 4]))
    for asked in (analysis, conslaw.load(analysis.to_json()), analysis.law_families[0]):
        with pytest.raises(conslaw.ConslawError, match=message) as error:
            asked.evaluate(*arguments, **named)
        assert "\n" not in str(error.value)


def test_a_momentum_flow_needs_velocities_and_the_time_of_its_laws():
    analysis = conslaw.analyze(M(conslaw.linear([2, 2, 2]), damping="1/2"))
    w = {"W1": np.eye(2), "W2": np.ones((2, 2))}
    for arguments, message in [
        ((w,), "give velocities"),
        ((w, w), "time="),
        ((w, w, "x"), "finite number"),
        ((w, w, 10**400), "finite number"),
    ]:
        with pytest.raises(conslaw.ConslawError, match=message):
            analysis.evaluate(*arguments)


# the point of a count


@settings(max_examples=10, deadline=None)
@given(widths=st.lists(st.integers(1, 3), min_size=3, max_size=3), seed=st.integers(0, 99))
def test_floats_of_a_point_are_the_exact_numbers_that_they_are(widths, seed):
    from fractions import Fraction

    net, rng = conslaw.linear(widths), np.random.default_rng(seed)
    floats = {n: rng.choice([0, 0.1, 1e-30, 3.0], size=s) for n, s in net.parameters.items()}
    exact = {
        n: np.array([Fraction(v) for v in x.reshape(-1).tolist()]).reshape(x.shape) for n, x in floats.items()
    }
    assert conslaw.count(net, point=floats).lie_ranks == conslaw.count(net, point=exact).lie_ranks


# files


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    answer, place = conslaw.count(conslaw.linear([3, 2, 4])), tmp_path / "count.json"
    conslaw.saved.save(answer, place)
    assert str(conslaw.load(place)) == str(conslaw.load(str(place))) == str(answer)
    before = place.read_bytes()

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(conslaw.ConslawError, match="No space left"):
        conslaw.saved.save(conslaw.count(conslaw.relu([3, 2, 4])), place)
    assert place.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["count.json"]
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(conslaw.ConslawError, match="give another name"):
        conslaw.saved.save(answer, tmp_path / "mine.txt")
    with pytest.raises(conslaw.ConslawError, match="give an answer"):
        conslaw.saved.save(3, place)


ANALYSIS = conslaw.analyze(conslaw.linear([3, 2, 4])).to_json()
NOT_ANSWERS = {
    "another version": ({**ANALYSIS, "version": 1}, "version 1: not a conslaw analysis of version 2"),
    "a version to come": ({**ANALYSIS, "version": 99}, "version 99"),
    "another format": ({**ANALYSIS, "format": "conslaw poem"}, "its format is 'conslaw poem'"),
    "another kind": ({**ANALYSIS, "format": "conslaw count", "version": 1}, "what a conslaw count says"),
    "no format": ({}, "its format is 'None'"),
    "a certificate": (conslaw.analyze(conslaw.linear([1, 1, 1])).certificate(), "conslaw.verify"),
    "a list": ("[1, 2]", "no answer of conslaw: list"),
    "a number": ("{", "not JSON"),
    "brackets": ("[" * 100_000, "not JSON"),
    "digits": ('{"format": ' + "9" * 100_000 + "}", "not JSON"),
    "no file": ("/nowhere/at/all.json", "No such file"),
    "a folder": ("/", "not a file"),
    "a zero byte": ("a\0b", "load"),
    "bytes": (b"{}", "give the path"),
    "none": (None, "give the path"),
    "not of JSON": ({"format": object()}, "not JSON"),
    "more": ({**ANALYSIS, "more": 1}, "more"),
    "less": ({k: v for k, v in ANALYSIS.items() if k != "laws_found"}, "laws_found"),
    "a forged claim": ({**ANALYSIS, "about": "everything is conserved"}, "do not agree"),
    "text for a number": ({**ANALYSIS, "laws_found": "3"}, "laws_found"),
    "a family of nothing": (
        {**ANALYSIS, "law_families": [{**ANALYSIS["law_families"][0], "size": 10**12}]},
        "does not fit the arrays",
    ),
    "a state of nothing": (
        {**ANALYSIS, "state": {**ANALYSIS["state"], "arrays": {}}},
        "does not fit the arrays",
    ),
}


@pytest.mark.parametrize("name", NOT_ANSWERS)
def test_what_is_no_answer_is_refused_in_one_line(name):
    source, message = NOT_ANSWERS[name]
    with pytest.raises(conslaw.ConslawError, match=message) as error:
        conslaw.load(source)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


JUNK = st.sampled_from([None, -1, 0, 10**30, 1.5, "", "x", [], {}, [[]], {"a": 1}, True, "1/0", [1] * 50])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_forged_json_is_refused_or_shows_what_it_says(data):
    """Any value anywhere is replaced: never another exception than the one, and never code that runs."""
    made = json.loads(json.dumps(ANALYSIS))
    at = made
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            at[key] = data.draw(JUNK)
            break
        at = at[key]
    try:
        loaded = conslaw.load(made)
        loaded.evaluate({"W1": np.ones((2, 3)), "W2": np.ones((4, 2))})
        loaded.laws  # noqa: B018
        repr(loaded)
    except conslaw.ConslawError as error:
        assert "\n" not in str(error)  # noqa: PT017


# the shell


def test_the_shell_evaluates_and_counts_at_weights_in_a_file(tmp_path, capsys):
    file = tmp_path / "weights.npz"
    np.savez(file, W1=np.ones((2, 3)), W2=np.eye(4, 2))
    assert main(["analyze", "linear", "3-2-4", "--evaluate", str(file)]) == 0
    assert "[[2. 3.]\n [3. 2.]]" in capsys.readouterr().out
    assert main(["analyze", "linear", "3-2-4", "--json", "--evaluate", str(file)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["values"] == {"W1 W1ᵀ − W2ᵀ W2": [[2, 3], [3, 2]]}
    assert conslaw.load(printed).complete
    assert main(["count", "linear", "3-2-4", "--point", str(file)]) == 0
    assert "at the given point" in capsys.readouterr().out
    assert main(["analyze", "linear", "3-2-5", "--evaluate", str(file)]) == 2  # the answer is not lost
    out, err = capsys.readouterr()
    assert "complete" in out
    assert "W2 has shape (4, 2)" in err
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "pickled.npz", W1=np.array([{}], dtype=object))
    for name in ("no.npz", "objects.npy", "pickled.npz", "nothing.npz", "."):
        assert main(["count", "linear", "3-2-4", "--point", str(tmp_path / name)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


# names


def test_result_classes_have_moved_to_their_rooms():
    for name, home in conslaw._MOVED.items():
        assert name not in conslaw.__all__
        with pytest.warns(DeprecationWarning, match=f"conslaw.{home}.{name}: import it from there"):
            found = getattr(conslaw, name)
        assert found.__module__.startswith("conslaw.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(callable(getattr(conslaw, name)) for name in conslaw.__all__)
    assert {"is_conserved", "load", "dimension"} <= set(conslaw.__all__)
    assert conslaw.dimension(conslaw.linear([3, 2, 4])).dimension
