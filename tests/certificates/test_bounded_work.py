"""Work is estimated before it is begun; the exit status says what became of it."""

import json
from importlib.resources import files

import pytest
from kinds import G, forged

import conslaw
from conslaw.command_line import main

SCHEMA = json.loads(files("conslaw.certificates").joinpath("certificate.schema.json").read_text())


def repeat(operation, count, shape=(), attribute=None):
    """Nodes that each use the last one twice: short graphs of large values."""

    def change(c):
        nodes = c["model"]["graph"]
        if shape:
            nodes.append({"operation": "constant", "arguments": [], "shape": list(shape), "attribute": ["1"]})
        for _ in range(count):
            last = len(nodes) - 1
            node = {"operation": operation, "arguments": [last, last], "shape": list(shape)}
            nodes.append({**node, "attribute": attribute})

    return change


def wide(c):
    c["model"]["family"]["arguments"]["widths"] = [10**4] * 3
    shapes = {"W1": [10**4] * 2, "W2": [10**4] * 2}, {"x": [10**4], "v": [10**4]}
    c["model"]["parameters"], c["model"]["data"] = c["flow"]["state"], c["flow"]["data"] = shapes


def wide_subnetworks(c):
    wide(c)
    c["upper"] = conslaw.analyze(G(conslaw.linear([20] * 3)), split=True).certificate()["upper"]
    c["upper"]["colours"] = [[[5000, 5000, 5000], 2]]


BOMBS = {
    "decay": ("linear", lambda c: c["flow"].update(weight_decay="1e999999999")),
    "damping": ("momentum", lambda c: c["flow"].update(damping="1e999999999")),
    "arrays of 10**8 entries": ("linear", wide),
    "subnetworks of 10**7 coordinates": ("linear", wide_subnetworks),
    "brackets of 14 fields": ("momentum", lambda c: c["upper"].update(ranks=[0] * 13 + [22])),
    "brackets of 20,000 fields": ("linear", lambda c: c["upper"].update(ranks=[0] * 20_000 + [11])),
    "a constant of 10**8 entries": ("own model", repeat("add", 0, (10_000, 10_000))),
    "a power 2**40": ("own model", repeat("product", 40, (), ["", "", ""])),
    "10**8 terms": ("own model", repeat("product", 4, (), ["", "", ""])),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_take_too_much_work_is_not_begun(certificates, bomb, monkeypatch):
    """Refuted or not checked, from shapes alone: neither polynomials nor brackets of it are begun."""
    from conslaw.certificates import kernel

    def never(*_, **__):
        raise KeyboardInterrupt("work was begun")

    for name in ("elements", "check_conserved", "slopes", "Polynomials"):
        monkeypatch.setattr(kernel, name, never)
    monkeypatch.setattr("conslaw.certificates.rules.Polynomials", never)
    name, change = BOMBS[bomb]
    certificate = certificates(name)
    change(certificate)
    assert forged(certificate).verdict != "ok"


def test_the_exit_status_says_what_became_of_it(tmp_path, capsys, certificates, monkeypatch):
    path = tmp_path / "out.json"
    certificate = certificates("momentum")
    path.write_text(json.dumps(certificate))
    assert main(["verify", str(path)]) == 0
    assert main(["verify", str(path), "--budget", "1e-6"]) == 3
    assert "--budget" in capsys.readouterr().out.splitlines()[-1]
    certificate["bounds"]["laws_at_most"] += 1
    path.write_text(json.dumps(certificate))
    assert main(["verify", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "FAIL"
    assert main(["verify", str(path), "--budget", "-1"]) == 2
    assert main(["verify", str(tmp_path / "none")]) == 2
    with path.open("rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file})())
        assert main(["verify", "-"]) == 1
