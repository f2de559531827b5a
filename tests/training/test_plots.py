"""Pictures: what is drawn is what was recorded, and bad input is one clear error."""

import subprocess
import sys

import numpy as np
import pytest

import conslaw

pytest.importorskip("matplotlib")
from conslaw import plots

GIVEN = {"data": {"x": [[1, 2], [0, 1]]}, "targets": [[1, 0], [2, 1]]}


def runs():
    model = conslaw.linear([2, 2, 2, 2])
    return [conslaw.simulate(model, method="gd", step=step, steps=8, **GIVEN) for step in (0.1, 0.05)]


def drawn(figure):
    return figure._repr_png_().startswith(b"\x89PNG")


def test_drift_of_several_runs():
    one, two = runs()
    figure = plots.drift(one, two, labels=["0.1", "0.05"])
    assert [axes.get_title() for axes in figure.axes] == [law.text for law in one.laws]
    line = figure.axes[0].get_lines()[0]
    assert np.allclose(line.get_xdata(), one.times)
    assert np.isclose(line.get_ydata()[-1], one.laws[0].worst)
    assert drawn(figure)
    assert drawn(one.plot())
    with pytest.raises(conslaw.ConslawError, match="labels"):
        plots.drift(one, two, labels=["0.1"])
    with pytest.raises(conslaw.ConslawError, match="at least one run"):
        plots.drift()


def test_laws_by_layer():
    analysis = conslaw.analyze(conslaw.relu([3, 4, 2, 2]))
    figure = plots.laws(analysis)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [4, 2]
    assert drawn(figure)
    with pytest.raises(conslaw.ConslawError, match="no laws"):
        plots.laws(conslaw.analyze(conslaw.pca([3, 2])))


def test_a_phase_portrait_follows_the_level_sets():
    model = conslaw.linear([1, 1, 1])
    analysis = conslaw.analyze(model)
    starts = [{"W1": [[a]], "W2": [[0.5]]} for a in (-1.0, 1.5)]
    given = {"data": {"x": [[1]]}, "targets": [[1]], "states": True, "analysis": analysis}
    paths = [conslaw.simulate(model, step=0.1, steps=20, start=start, **given) for start in starts]
    entries = {"x": ("W1", (0, 0)), "y": ("W2", (0, 0))}
    figure = plots.phase_portrait(*paths, **entries, law=analysis.laws[0])
    assert drawn(figure)
    for line in figure.axes[0].get_lines()[::2]:
        a, b = (np.asarray(z) for z in line.get_data())
        assert np.ptp(a**2 - b**2) < 1e-9 < np.ptp(a)
    with pytest.raises(conslaw.ConslawError, match="states=True"):
        plots.phase_portrait(runs()[0], **entries)
    with pytest.raises(conslaw.ConslawError, match="is no entry"):
        plots.phase_portrait(paths[0], x=("W1", (0, 3)), y=("W2", (0, 0)))
    with pytest.raises(conslaw.ConslawError, match="depends on more"):
        plots.phase_portrait(paths[0], **entries, law=conslaw.parse_law("W1[0,0]*z"))


def test_blocks_of_a_split_network():
    counted = conslaw.count(conslaw.linear([60, 50, 40]), split=True)
    assert drawn(plots.blocks(counted))
    with pytest.raises(conslaw.ConslawError, match="not split"):
        plots.blocks(conslaw.count(conslaw.linear([2, 2, 2])))


def test_without_matplotlib_it_is_said_how_to_get_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "import conslaw\nfrom conslaw import plots\n"
        "try: plots.laws(conslaw.analyze(conslaw.linear([2, 2, 2])))\n"
        "except conslaw.ConslawError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "conslaw[plots]" in done.stdout
