"""Pictures of training runs and of networks (matplotlib, the extra ``plots``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.errors import ConslawError

if TYPE_CHECKING:
    import sympy

    from conslaw.answers import Analysis, Count
    from conslaw.training.drift import Drift

Entry = tuple[str, tuple[int, ...]]


def drift(
    *runs: Drift, labels: Sequence[str] | None = None, predicted: bool = True, against: str = "times"
) -> Any:
    """Drift of each kind of laws against time: one panel for each kind, one curve for each run.

    Parameters
    ----------
    runs : Drift
        Runs with the same laws: several steps, several momenta.
    labels : one for each run; by default what their titles say of the method
    predicted : whether the prediction is drawn, dashed
    against : ``"times"`` or ``"steps"``

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConslawError
        Without matplotlib, or if there is nothing to draw.
    """
    if not runs or not runs[0].laws:
        raise ConslawError("plots.drift: give at least one run in which laws were watched")
    names = list(labels) if labels is not None else [run.title.split(", ", 2)[-1] for run in runs]
    if len(names) != len(runs):
        raise ConslawError(f"labels={labels!r}: give one for each of the {len(runs)} runs")
    if against not in ("times", "steps"):
        raise ConslawError(f"against={against!r}: give 'times' or 'steps'")
    texts = list(dict.fromkeys(law.text for run in runs for law in run.laws))
    figure, panels = _panels(len(texts))
    for text, axes in zip(texts, panels, strict=True):
        for run, name in zip(runs, names, strict=True):
            for law in (law for law in run.laws if law.text == text):
                across = getattr(run, against)
                [line] = axes.plot(across, _largest(law.drift, law.size), label=name)
                if predicted and law.predicted is not None:
                    moved = np.asarray(law.predicted - law.predicted[:1], np.float64)
                    axes.plot(across, _largest(moved, law.size), "--", color=line.get_color(), alpha=0.6)
        axes.set(title=text, xlabel=against, ylabel="largest relative drift")
        if any(np.nanmax(line.get_ydata(), initial=0.0) > 0 for line in axes.get_lines()):
            axes.set_yscale("log")
        axes.title.set_fontsize("small")
    if len(runs) > 1 or labels:
        panels[0].legend(fontsize="small")
    return figure


def _largest(moved: Any, size: Any) -> Any:
    """Of all laws of a kind, over the size of each."""
    positive = np.broadcast_to(size > 0, moved.shape)
    relative = np.divide(abs(moved), size, out=np.zeros_like(moved), where=positive)
    largest = relative.max(axis=1, initial=0.0)
    return np.where(largest > 0, largest, np.nan)  # zero has no place on a logarithmic axis


def laws(analysis: Analysis) -> Any:
    """How many laws there are of each kind, layer by layer.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConslawError
        Without matplotlib, or if no laws are in matrix notation.
    """
    families = analysis.law_families
    if not families:
        raise ConslawError(f"{analysis.title}: there are no laws in matrix notation to draw")
    figure, [axes] = _panels(1, height=0.8 + 0.4 * len(families))
    bars = axes.barh(range(len(families)), [family.laws for family in families])
    axes.bar_label(bars, padding=3)
    axes.set_yticks(range(len(families)), [family.text for family in families], fontsize="small")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    known = "" if analysis.complete else f", of at most {analysis.laws_at_most:,}"
    axes.set(title=f"{analysis.title}: {analysis.laws_found:,} laws{known}", xlabel="independent laws")
    axes.title.set_fontsize("small")
    return figure


def phase_portrait(*runs: Drift, x: Entry, y: Entry, law: sympy.Expr | None = None, levels: int = 12) -> Any:
    """The paths of two parameters, among the level sets of a law of these two.

    Parameters
    ----------
    runs : Drift
        Made with ``states=True``.
    x, y : an array and an index, such as ``("W1", (0, 0))``
    law : SymPy expression in these two entries, optional
        ``analysis.laws[0]``.
    levels : how many level sets

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConslawError
        If a run kept no states, an entry is none, or the law depends on more than these two.
    """
    paths = [[_entry(run, entry) for entry in (x, y)] for run in runs]
    if not paths:
        raise ConslawError("plots.phase_portrait: give at least one run")
    figure, [axes] = _panels(1, height=4.0)
    for across, up in paths:
        [line] = axes.plot(across, up)
        axes.plot(across[0], up[0], "o", color=line.get_color(), markersize=4)
    if law is not None:
        _level_sets(axes, law, x, y, levels)
    axes.set(xlabel=_written(x), ylabel=_written(y))
    return figure


def _entry(run: Drift, entry: Entry) -> Any:
    name, index = entry
    if run.states is None:
        raise ConslawError("plots.phase_portrait: this run kept no states; simulate it with states=True")
    try:
        return np.asarray(run.states[name][(slice(None), *index)], np.float64).reshape(len(run.steps))
    except (KeyError, IndexError, TypeError, ValueError):
        shapes = {name: array.shape[1:] for name, array in run.states.items()}
        raise ConslawError(f"{entry!r} is no entry of the parameters {shapes}") from None


def _level_sets(axes: Any, law: sympy.Expr, x: Entry, y: Entry, levels: int) -> None:
    import sympy

    texts = [str(sympy.IndexedBase(name)[index] if index else name) for name, index in (x, y)]
    across, up = sympy.symbols("across up")
    axis = dict(zip(texts, (across, up), strict=True))  # by text: the user's symbols may have assumptions
    drawn = law.subs({s: axis[str(s)] for s in law.atoms(sympy.Symbol, sympy.Indexed) if str(s) in axis})
    if drawn.free_symbols - {across, up}:
        raise ConslawError(f"the law {str(law)[:80]} depends on more than {_written(x)} and {_written(y)}")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    grid = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
    with np.errstate(all="ignore"):
        values = sympy.lambdify([across, up], drawn, "numpy")(*grid) + 0 * grid[0]
    axes.contour(*grid, values, levels=levels, colors="grey", linewidths=0.6, alpha=0.7, zorder=0)
    axes.set(xlim=(left, right), ylim=(low, high))


def _written(entry: Entry) -> str:
    name, index = entry
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def blocks(answer: Count) -> Any:
    """How a network was split for its upper bound: a square for each kind of block, as large as its state,
    filled as far as its rank reaches.

    Parameters
    ----------
    answer : Count or Analysis
        One whose ``split`` is not None.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConslawError
        If it was not split.
    """
    if answer.split is None:
        raise ConslawError(f"{answer.title}: it was not split; ask with split=True")
    split = answer.split.to_json()
    listed = (
        split["blocks"] if "blocks" in split else [b for group in split["groups"] for b in group["blocks"]]
    )
    kinds = [_block(block) for block in listed]
    figure, [axes] = _panels(1, height=2.8)
    left, tallest = 0.0, max(sqrt(size) for _, size, _ in kinds)
    for count, size, rank in kinds:
        side = sqrt(size)
        axes.add_patch(_rectangle(left, side, side, facecolor="none", edgecolor="black"))
        axes.add_patch(_rectangle(left, side, side * rank / size, facecolor="tab:blue", alpha=0.4))
        axes.text(left + side / 2, -0.06 * tallest, f"{count:,} ×", ha="center", va="top")
        inside = f"{rank:,}\nof {size:,}"
        axes.text(left + side / 2, side / 2, inside, ha="center", va="center", fontsize="small")
        left += side + 0.25 * tallest
    axes.set(xlim=(-0.1 * tallest, left), ylim=(-0.3 * tallest, 1.1 * tallest), aspect="equal")
    axes.set_title(f"{answer.title}: ranks of its blocks, of so many coordinates", fontsize="small")
    axes.axis("off")
    return figure


def _rectangle(left: float, width: float, height: float, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left, 0), width, height, **style)


def _block(block: dict[str, Any]) -> tuple[int, int, int]:
    """How many there are, of how many coordinates, of which rank."""
    return block["copies"], block["dimension"], block["ranks"][-1]


def _png(figure: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


def _panels(count: int, *, height: float = 2.6) -> tuple[Any, list[Any]]:
    """A figure of some panels, at most two in a row; no window is opened."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConslawError("pictures need matplotlib: pip install 'conslaw[plots]'") from None
    columns = 1 if count == 1 else 2
    rows = ceil(count / columns)
    figure: Any = Figure(figsize=(6.4 if columns == 1 else 9.6, height * rows + 0.4), layout="constrained")
    figure._repr_png_ = partial(_png, figure)  # a notebook shows it, whether pyplot is in use or not
    panels = np.atleast_1d(figure.subplots(rows, columns)).reshape(-1)
    for unused in panels[count:]:
        unused.remove()
    return figure, list(panels[:count])
