"""Random level sets, by trial and by the command, which goes on where it was."""

import pickle

import numpy as np
import pytest

from conslaw import regions
from conslaw.command_line import main
from conslaw.regions.random_level_sets import Trial, architectures, random_network


def test_a_trial_is_the_topology_of_its_network():
    trial = pickle.loads(pickle.dumps(Trial("1/8", 3)))
    columns = trial({"arch": "2-5-5-1", "trial": 4})
    complex_ = regions.polyhedral_complex(random_network([2, 5, 5, 1], [3, 2, 5, 5, 1, 4]))
    assert columns["boundary_betti"] == regions.topology(complex_, level=0.125).boundary.betti
    assert columns["f_vector"] == complex_.f_vector
    assert columns == trial({"arch": "2-5-5-1", "trial": 4})


def test_the_command_writes_all_trials_and_goes_on(tmp_path, capsys):
    out = tmp_path / "levels.npz"
    command = ["regions", "--random", "2-n-n-1", "--widths", "3..5..2", "--trials", "2", "--out", str(out)]
    assert main(command) == 0
    assert "4 of 4 finished" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as found:
        first = dict(found)
    assert first["archs"].tolist() == [[2, 3, 3, 1]] * 2 + [[2, 5, 5, 1]] * 2
    for i, arch in enumerate(first["archs"]):
        network = random_network(arch, [0, *arch, first["trials"][i]])
        complex_ = regions.polyhedral_complex(network)
        points = first["points"][slice(*first["point_starts"][i : i + 2])]
        edges = first["complexes"][slice(*first["complex_starts"][i : i + 2])]
        assert (points == complex_.vertices).all()
        assert (edges == complex_.edges).all()
        assert tuple(first["boundary_betti"][i]) == regions.topology(complex_).boundary.betti
    journal = (tmp_path / "levels.jsonl").read_bytes()
    (tmp_path / "levels.jsonl").write_bytes(
        b"".join(journal.splitlines(keepends=True)[:3])
    )  # two rows are lost
    assert main(command) == 0
    with np.load(out, allow_pickle=False) as found:
        again = dict(found)
    assert all((again[name] == first[name]).all() for name in first if name != "times")
    assert main([*command, "--seed", "1"]) == 2, "another sweep is not mixed in"


@pytest.mark.parametrize(("more", "words"), [
    (["--random", "2-m-1"], "--random '2-m-1'"),
    (["--widths", "5..1"], "5..1 is empty"),
    (["--trials", "0"], "--trials 0"),
    (["--level", "1/0"], "--level '1/0'"),
    (["--level", "1e99999999"], "--level '1e99999999'"),
    (["--out", "levels.csv"], "ends in .npz"),
    (["--out", "no/levels.npz"], "there is no folder"),
])  # fmt: skip
def test_bad_input(more, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["regions", "--random", "2-n-1", "--widths", "3", "--trials", "1", "--out", "levels.npz"]
    assert main([*given, *more]) == 2
    assert words in capsys.readouterr().err


def test_templates():
    assert architectures("3-n-2-n-1", [4, 4, 5]) == ["3-4-2-4-1", "3-5-2-5-1"]
