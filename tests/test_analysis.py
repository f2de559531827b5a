"""The whole path: results, how they are shown, and the command line as a user runs it."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import FrozenInstanceError

import pytest
import sympy

import conslaw
from conslaw.command_line import main


def test_bounds_that_meet_are_a_proof():
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([3, 2, 4])))
    assert (analysis.parameters, analysis.state_dimension, analysis.lie_ranks[-1]) == (14, 14, 11)
    assert (analysis.laws_at_most, analysis.laws_found, analysis.complete) == (3, 3, True)
    assert len(analysis.primes) == 1


def test_bounds_that_do_not_meet_are_both_reported_and_confirmed():
    x, y = sympy.symbols("x y")
    jordan = conslaw.flow_from_fields([[x, x + y]], [x, y])  # conserves y/x - log(x)
    analysis = conslaw.analyze(jordan, degree=3)
    assert (analysis.laws_at_most, analysis.laws_found, analysis.complete, analysis.laws) == (1, 0, False, ())
    assert len(set(analysis.primes)) == 2
    assert "Proved: 0 to 1 independent laws" in repr(analysis)
    said = (
        "1 of them has no polynomial form up to degree 3, and none was found with logarithms or as a quotient"
    )
    assert f"{said} up to degree 3." in str(analysis)
    assert "no polynomial laws up to degree 3" in analysis._repr_html_()


def test_results_are_frozen_and_carry_the_names_of_the_json():
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.relu([2, 2, 1], bias=True)))
    with pytest.raises(FrozenInstanceError):
        analysis.laws_found = 7
    data = json.loads(json.dumps(analysis.to_json()))
    stamp = {"format": "conslaw analysis", "version": 2, "made_by": f"conslaw {conslaw.__version__}"}
    assert {name: data.pop(name) for name in stamp} == stamp
    assert (data.pop("laws_beside_families"), data.pop("looked_for")) == ([], [])
    assert data.pop("state") == json.loads(json.dumps(analysis.space.to_json()))
    assert data.pop("route") == json.loads(json.dumps(analysis.route.to_json()))
    for name, value in data.items():
        ours = getattr(analysis, name)
        if name == "law_families":
            assert [family["text"] for family in value] == [family.text for family in ours]
        elif name == "laws":
            assert [str(e) for e in ours] == [str(conslaw.parse_law(s)) for s in value]
        else:
            assert (list(ours) if isinstance(ours, tuple) else ours) == value
    assert set(data["seconds"]) == {"lie", "ansatz", "total", *(step.route for step in analysis.route.steps)}


def test_a_long_list_of_laws_is_cut_in_the_repr_only():
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([7, 7, 7])))
    assert len(analysis.laws) == 28
    assert "W1 W1ᵀ − W2ᵀ W2   symmetric 7×7, 28 laws" in repr(analysis)
    assert "as 28 polynomials" in analysis._repr_html_()
    many = conslaw.analyze(
        conslaw.gradient_flow(conslaw.monomial([1] * 29))
    )  # squares of scalars form no family
    assert "... and 8 more" in repr(many)
    assert "... and 8 more" in many._repr_html_()


def test_gaps_are_put_in_the_words_of_the_ansatz():
    flow = conslaw.gradient_flow(conslaw.linear([3, 2, 4]))
    exactly = conslaw.analyze(flow, degree=3, homogeneous=True)
    assert "no polynomial form of exactly degree 3" in repr(exactly)
    assert exactly.to_json()["homogeneous"] is True
    assert "up to degree {'W1': 2}" in repr(conslaw.analyze(flow, degree={"W1": 2}))


def test_numpy_integers_are_integers():
    import numpy as np

    analysis = conslaw.analyze(
        conslaw.gradient_flow(conslaw.linear(np.array([3, 2, 4]))), degree=np.int64(2), seed=np.int64(3)
    )
    assert json.loads(json.dumps(analysis.to_json()))["degree"] == 2


def test_of_a_model_its_gradient_flow_is_asked_about():
    model = conslaw.linear([3, 2, 4])
    for question in (
        conslaw.count,
        conslaw.analyze,
        conslaw.polynomial_laws,
        conslaw.rational_laws,
        conslaw.lie_ranks,
    ):
        assert str(question(model)).partition("seconds")[0] == str(question(conslaw.gradient_flow(model)))
        with pytest.raises(conslaw.ConslawError, match="7 is no flow and no model"):
            question(7)
    for flow in (conslaw.gradient_flow, conslaw.momentum_flow):
        with pytest.raises(conslaw.ConslawError, match="is not a model"):
            flow([3, 2, 4])


def test_what_does_not_fit_the_memory_is_refused():
    huge = conslaw.gradient_flow(conslaw.linear([100_000, 100_000]))
    with pytest.raises(conslaw.ConslawError, match="memory"):
        conslaw.count(huge, split=False)
    with pytest.raises(conslaw.ConslawError, match="unknowns"):
        conslaw.analyze(huge, ansatz="monomials")
    power = conslaw.model(lambda p, c: (c.v @ p.x) ** 40, parameters={"x": (20,)}, data={"v": (20,)})
    with pytest.raises(conslaw.ConslawError, match="terms: would need about"):
        conslaw.polynomial_laws(conslaw.gradient_flow(power))
    for ansatz in ("monomials", None):  # there are none, which is known before they are looked for
        assert conslaw.analyze(conslaw.gradient_flow(power), ansatz=ansatz).proved["laws_exactly"] == 0
    with pytest.raises(conslaw.ConslawError, match=r"about 10\^"):
        conslaw.analyze(conslaw.gradient_flow(conslaw.linear([30, 30, 30])), degree=50, ansatz="monomials")


def test_latex_of_names():
    model = conslaw.model(
        lambda p, c: p.W12[0, 1] * p.scale_1 + 0 * p.W12.sum(),
        parameters={"W12": (1, 2), "scale_1": ()},
        name="<script>",
    )
    analysis = conslaw.analyze(conslaw.gradient_flow(model))
    assert analysis.polynomial_laws.latex() == [r"{W_{12}}_{0,0}", r"{W_{12}}_{0,1}^{2} - scale\_1^{2}"]
    assert "<script>" not in analysis._repr_html_()


# the command line


def run(capsys, *arguments):
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_analyze_as_text(capsys):
    status, out, err = run(capsys, "analyze", "linear", "3-2-4")
    assert (status, err) == (0, "")
    assert "complete         proved" in out
    law = "W1[0,0]**2 + W1[0,1]**2 + W1[0,2]**2 - W2[0,0]**2 - W2[1,0]**2 - W2[2,0]**2 - W2[3,0]**2"
    assert "symmetric 2×2, 3 laws" in out
    assert law not in out
    assert law in run(capsys, "analyze", "linear", "3-2-4", "--laws")[1]


def test_json_has_the_documented_keys(capsys):
    status, out, _ = run(capsys, "analyze", "relu", "3-5-5-2", "--bias", "--degree", "2", "--json")
    data = json.loads(out)
    assert status == 0
    assert {k: data[k] for k in ("model", "widths", "bias", "flow")} == {
        "model": "relu",
        "widths": [3, 5, 5, 2],
        "bias": True,
        "flow": "gradient",
    }
    assert (data["parameters"], data["laws_at_most"], data["laws_found"], data["complete"]) == (
        60,
        10,
        10,
        True,
    )
    for law in data["laws"]:
        conslaw.parse_law(law)
    counted = json.loads(run(capsys, "count", "relu", "3-5-5-2", "--bias", "--json")[1])
    assert "laws" not in counted
    assert counted["laws_at_most"] == 10


def test_the_seed_reproduces_a_run(capsys):
    runs = [
        json.loads(run(capsys, "count", "linear", "4-3-2", "--json", "--seed", s)[1]) for s in ("5", "5", "6")
    ]
    for data in runs:
        data.pop("seconds")
    assert runs[0] == runs[1]
    assert runs[0]["primes"] != runs[2]["primes"]


def test_models_lists_each_family_in_a_line(capsys):
    status, out, _ = run(capsys, "models")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "linear",
        "relu",
        "polynomial",
        "nmf",
        "icnn",
        "pca",
        "monomial",
        "FILE.py:NAME",
    ]


MODEL = """
import conslaw
model = conslaw.model(lambda p, c: c.v @ p.U @ p.V.T @ c.x, parameters={"U": (3, 2), "V": (4, 2)},
                      data={"x": (4,), "v": (3,)})
flow = conslaw.gradient_flow(model)
def made():
    return model
number = 7
"""


def test_a_model_from_a_file(capsys, tmp_path):
    file = tmp_path / "my_model.py"
    file.write_text(MODEL)
    for name in ("model", "flow", "made"):
        status, out, _ = run(capsys, "analyze", f"{file}:{name}", "--json")
        assert (status, json.loads(out)["laws_found"], json.loads(out)["widths"]) == (0, 3, None)
    (tmp_path / "beside.py").write_text("sizes = [2, 2]\n")
    other = tmp_path / "other.py"
    other.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport conslaw, beside\n"
        "@dataclass\nclass Setting:\n    rate: int\nmodel = conslaw.linear(beside.sizes)\n"
    )
    assert run(capsys, "count", f"{other}:model")[0] == 0
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(7)\n")
    assert run(capsys, "count", f"{tmp_path / 'leaves.py'}:model")[0] == 2
    (tmp_path / "json.py").write_text(MODEL)  # named like a module of the library
    assert run(capsys, "count", f"{tmp_path / 'json.py'}:model", "--json")[0] == 0
    for name in ("number", "missing"):
        status, _, err = run(capsys, "analyze", f"{file}:{name}")
        assert status == 2
        assert f"no model named {name!r}; it has model, flow" in err
    (tmp_path / "broken.py").write_text("import conslaw\nmodel = conslaw.linear([3])\n")
    assert "at least two widths" in run(capsys, "count", f"{tmp_path / 'broken.py'}:model")[2]
    (tmp_path / "syntax.py").write_text("model = (")
    assert "raised SyntaxError" in run(capsys, "count", f"{tmp_path / 'syntax.py'}:model")[2]


FLOWS = [
    ("count nmf 7-7-7", "gradient", None, "mirror", 7),
    ("analyze icnn 3-4-2 --bias --flow momentum --damping 1/2", "momentum", "1/2", "U: mirror", 0),
    ("analyze linear 3-2-4 --flow nesterov", "momentum", "3/t", "euclidean", 1),
    ("analyze linear 2-2-2 --flow momentum --damping 5/t --time-degree 5", "momentum", "5/t", "euclidean", 1),
    ("analyze linear 3-2-4 --metric W1=1/10,W2=z", "gradient", None, "W1: 1/10, W2: mirror", None),
    ("analyze linear 3-2-4 --weight-decay 1/3", "gradient", None, "euclidean", 3),
    ("analyze pca 2-3", "gradient", None, "euclidean", 2),
    ("analyze monomial 1-2-3", "gradient", None, "euclidean", 2),
    ("analyze linear 3-2-4 --bias", "gradient", None, "euclidean", 3),
]


@pytest.mark.parametrize(("arguments", "flow", "damping", "metric", "laws"), FLOWS)
def test_every_flow_from_the_command_line(capsys, arguments, flow, damping, metric, laws):
    status, out, err = run(capsys, *arguments.split(), "--json")
    assert (status, err) == (0, "")
    data = json.loads(out)
    assert (data["flow"], data["damping"], data["metric"]) == (flow, damping, metric)
    if laws is not None:
        assert data["laws_at_most"] == data.get("laws_found", laws) == laws
    assert run(capsys, *arguments.split())[0] == 0


BAD = {
    ("count", "nmf", "3-4"): "needs 3 sizes",
    ("count", "nmf", "3-4-5", "--bias"): "--bias",
    ("count", "linear", "3-4", "--damping", "1"): "--flow momentum",
    ("count", "linear", "3-4", "--flow", "nesterov", "--damping", "1"): "3/t",
    ("count", "linear", "3-4", "--flow", "momentum", "--damping", "-1"): "damping",
    ("count", "linear", "3-4", "--metric", "W1="): "--metric",
    ("count", "linear", "3-4", "--metric", "W7=mirror"): "W7",
    ("count", "linear", "3-4", "--weight-decay", "x"): "weight_decay='x'",
    ("analyze", "linear", "3-4", "--time-degree", "2"): "no time",
    ("count", "linear", "3-4", "--flow", "backwards"): "backwards",
    ("analyze", "linear", "3-0-4"): "widths [3, 0, 4]",
    ("analyze", "linear", "3-x"): "'3-x'",
    ("analyze", "linear", "3"): "[3]",
    ("analyze", "linear"): "needs sizes",
    ("count", "cubic", "3-4"): "'cubic'",
    ("count", "nowhere.py:model"): "nowhere.py",
    ("count", "nowhere.py"): "nowhere.py:model",
    ("analyze", "linear", "3-2", "--degree", "0"): "degree=0",
    ("analyze", "linear", "3-2", "--degree", "two"): "'two'",
    ("analyze", "linear", "30-30-30", "--degree", "9", "--ansatz", "monomials"): "unknowns",
    ("count", "linear", "3-2", "--seed", "-1"): "seed=-1",
    ("count", "linear", "3-2", "--nonsense"): "--nonsense",
    ("frobnicate",): "'frobnicate'",
    (): "COMMAND",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_gets_one_line_and_status_2(capsys, arguments):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert BAD[arguments] in err


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from conslaw.command_line import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        + ("print(sorted({'sympy', 'scipy', 'flint', 'mpmath'} & set(sys.modules)))")
    )
    assert subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.endswith("[]\n")


@pytest.fixture
def interruptible():
    """SIGINT as a terminal sends it, also where it is ignored (nohup, a job in the background): children
    inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="a process is interrupted by a signal")
@pytest.mark.usefixtures("interruptible")
def test_interrupting_ends_cleanly():
    command = [sys.executable, "-m", "conslaw", "count", "linear", "80-80-80", "--no-split"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) == (130, "", "conslaw: interrupted\n")
