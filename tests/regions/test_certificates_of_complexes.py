"""Certificates of complexes: true ones hold, from files and the shell; whatever is changed is noticed."""

import json

import numpy as np
import pytest
from test_complexes import normal

import conslaw
from conslaw import ConslawError, regions
from conslaw.command_line import main


@pytest.fixture(scope="module")
def true():
    return {
        "vertices": regions.polyhedral_complex(normal((3, 8, 6, 1))).certificate(),
        "recompute": regions.polyhedral_complex(normal((2, 5, 4, 1), bias=False)).certificate(),
    }


def test_files_and_shell(tmp_path, capsys):
    for name, options in (("a", {}), ("b", {"within": ([-1, -1, -1], [1, 1, 1])})):
        file = tmp_path / f"{name}.npz"
        regions.polyhedral_complex(normal((3, 8, 6, 1)), **options).certificate(str(file))
        assert conslaw.verify(file).ok
        assert main(["verify", str(file)]) == 0
        file.write_bytes(file.read_bytes()[:-200])
        with pytest.raises(ConslawError, match="not an NPZ certificate"):
            conslaw.verify(file)
    capsys.readouterr()


def test_what_would_take_long_is_not_begun(true):
    assert conslaw.verify(true["vertices"], budget=1e-9).verdict == "not checked"


def tamperings(whole):
    """Consistent and inconsistent changes, one at a time."""
    rng = np.random.default_rng(0)
    signs = whole["signs"]
    for _ in range(30):  # one sign
        i, j = rng.integers(len(signs)), rng.integers(signs.shape[1])
        changed = signs.copy()
        changed[i, j] = (changed[i, j] + 1 + rng.integers(1, 3)) % 3 - 1
        yield {"signs": changed}
    for _ in range(15):  # a vertex is left out, or moves to where another is
        i, j = rng.choice(len(signs), 2, replace=False) if len(signs) > 1 else (0, 0)
        yield {"signs": np.delete(signs, i, axis=0)}
        yield {"signs": np.concatenate([signs, signs[[j]]])}
    for name in ("f_vector", "bounded"):
        for k in range(len(whole[name])):
            for step in (1, -1):
                yield {name: whole[name] + step * (np.arange(len(whole[name])) == k)}
    network = json.loads(whole["network"])
    for layer in network[:-1]:
        for i, row in enumerate(layer["numerators"][:4]):
            changed = json.loads(whole["network"])
            changed[network.index(layer)]["numerators"][i] = [str(-int(c)) for c in row]
            yield {"network": json.dumps(changed)}
    changed = json.loads(whole["network"])
    changed[1]["slope"] = None
    yield {"network": json.dumps(changed)}
    yield {"claim": whole["claim"].replace("cells", "many cells")}
    yield {"version": 2}
    yield {"method": "trust"}
    yield {"box": json.dumps([["0", "0", "0"], ["1", "1", "1"]])}
    yield {"box": json.dumps([["0", "0"], ["1", "1e999999999"]])}
    yield {"signs": signs[:0]}
    yield {"signs": signs.astype(float)}
    yield {"network": "[]"}
    for slope in ("1/2", "1e999999999"):
        yield {"network": whole["network"].replace('"slope": "0"', f'"slope": "{slope}"')}


@pytest.mark.parametrize("method", ["vertices", "recompute"])
def test_every_tampering_is_caught(true, method):
    whole = true[method]
    assert conslaw.verify(whole).ok
    count = 0
    for change in tamperings(whole):
        verdict = conslaw.verify({**whole, **change}).verdict
        assert verdict == "FAIL", change
        count += 1
    assert count >= 70


def test_a_linear_layer_in_between_is_no_relu_layer():
    """Were it left out of the neurons, a true certificate of another network would fit."""
    square = [([[1, 2], [3, 5]], [1, 1]), ([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])]
    whole = regions.polyhedral_complex(square).certificate()
    one = regions.polyhedral_complex([square[0], square[2]]).certificate()
    layers = json.loads(whole["network"])
    layers[1]["slope"] = None
    assert conslaw.verify({**one, "network": json.dumps(layers)}).verdict == "FAIL"
