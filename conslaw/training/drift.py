"""How far laws drifted in a training run, beside what was predicted: the answer of a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.errors import ConslawError

VERSION = 1  # of the JSON
NOTHING = 1e-9  # of the terms of a law: what is smaller is 0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LawDrift:
    """Laws of one kind along a run.

    Attributes
    ----------
    text, latex : the laws in the notation of the model
    labels : of each of the n laws that were watched
    values : (records, n) array of the numbers of the run: floats, fractions, or floats of many digits
    predicted : (records, n) array, what the values would be but for rounding; None if there is no formula
    terms : (n,) array, the sum of the absolute values of the terms of each, at the start or the end
    rounding : about how much rounding does in the whole run, relative to the terms
    """

    text: str
    latex: str
    labels: tuple[str, ...]
    values: npt.NDArray[Any] = field(repr=False)
    predicted: npt.NDArray[Any] | None = field(repr=False)
    terms: Floats = field(repr=False)
    rounding: float

    @property
    def drift(self) -> Floats:
        """(records, n) array: values minus those at the start."""
        return np.asarray(self.values - self.values[:1], np.float64)

    @property
    def relative(self) -> Floats:
        """(records, n) array: absolute drift over the size."""
        return _over(abs(self.drift), self.size)

    @property
    def size(self) -> Floats:
        """(n,) array: the largest absolute value in the run; of a law that is 0, up to rounding, that of its
        terms.
        """
        largest = np.asarray(abs(self.values).max(axis=0), np.float64)
        return np.where(largest > NOTHING * self.terms, largest, self.terms)

    @property
    def floor(self) -> Floats:
        """(n,) array: about what rounding does to each law in the whole run."""
        return self.rounding * self.terms

    @property
    def worst(self) -> float:
        """The largest relative drift at the end."""
        return float(self.relative[-1].max(initial=0.0))

    @property
    def error(self) -> float:
        """The largest difference to what was predicted, over the size; NaN if there is no prediction."""
        if self.predicted is None:
            return float("nan")
        gaps = np.asarray(abs(self.values - self.predicted).max(axis=0), np.float64)
        return float(_over(gaps, self.size).max(initial=0.0))


def _over(x: Floats, scale: Floats) -> Floats:
    return np.divide(x, scale, out=np.zeros_like(x), where=np.broadcast_to(scale > 0, x.shape))


@dataclass(frozen=True, eq=False, repr=False)
class Drift(display.Shown):
    """Laws along a training run.

    Attributes
    ----------
    title : what was trained, and how
    method : ``"flow"``, ``"gd"``, ``"heavy_ball"``, ``"nesterov"``, ``"mirror"`` or the optimizer's name
    steps : (records,) array: after how many steps each record was made
    times : (records,) array: that times the step; of a flow, the time
    laws : what was watched, kind by kind
    end : the parameters after the last step
    exact : whether the predictions are exact but for rounding (False: estimates from some of the steps)
    stopped : why the run ended early; empty if it did not
    remarks : what else there is to know
    states : the parameters at each record, if they were asked for
    """

    title: str
    method: str
    steps: npt.NDArray[np.int64]
    times: Floats
    laws: tuple[LawDrift, ...]
    end: Mapping[str, Any]
    exact: bool = True
    stopped: str = ""
    remarks: tuple[str, ...] = ()
    states: Mapping[str, Any] | None = None

    @property
    def about(self) -> str:
        """What the answer is about."""
        return f"{self.title}: {self.steps[-1]:,} steps"

    @property
    def proved(self) -> Mapping[str, Any]:
        """For which laws the prediction is a theorem; the numbers beside it are floats."""
        return {"predicted": [law.text for law in self.laws if law.predicted is not None and self.exact]}

    @property
    def probable(self) -> Mapping[str, Any]:
        """Nothing: values are measured."""
        return {}

    @property
    def worst(self) -> float:
        """The largest relative drift of a law at the end."""
        return max((law.worst for law in self.laws), default=0.0)

    def __getitem__(self, text: str) -> LawDrift:
        """The laws whose notation begins so, or contains this."""
        for test in (str.startswith, str.__contains__):
            for law in self.laws:
                if test(law.text, text):
                    return law
        known = "; ".join(law.text for law in self.laws) or "none"
        raise ConslawError(f"no law with {text!r} was watched; there are: {known}")

    def _summary(self) -> display.Summary:
        rows = [("steps", f"{self.steps[-1]:,}, {len(self.steps):,} records")]
        if not self.laws:
            rows.append(("laws", "none that can be watched"))
        written = [self._said(law) for law in self.laws]
        latex = [rf"{law.latex}\quad\text{{{self._numbers(law)}}}" for law in self.laws]
        heading = "largest drift of each kind of laws (relative to its size)"
        sections = [display.Section(heading, written, latex)] if self.laws else []
        stopped = [f"Stopped: {self.stopped}"] if self.stopped else []
        return display.Summary(self.title, rows, [*stopped, *self.remarks], sections)

    def _said(self, law: LawDrift) -> str:
        return f"{law.text}   {self._numbers(law)}"

    def _numbers(self, law: LawDrift) -> str:
        drift = f"{abs(law.drift[-1]).max(initial=0.0):.1e} ({law.worst:.1e})"
        if law.predicted is None:
            return f"{drift}, no prediction"
        kind = "predicted" if self.exact else "estimated"
        return f"{drift}, {kind} but for {law.error:.0e}; rounding about {_floor(law):.0e}"

    def frame(self) -> Any:
        """The values as a pandas table: a row for each record and law.

        Raises
        ------
        ConslawError
            Without pandas.
        """
        try:
            import pandas
        except ImportError:
            raise ConslawError("frame() needs pandas: pip install pandas") from None
        tables = []
        for law in self.laws:
            count = len(law.labels)
            predicted = np.full(law.values.shape, np.nan) if law.predicted is None else law.predicted
            columns = {
                "step": np.repeat(self.steps, count),
                "time": np.repeat(self.times, count),
                "law": [law.text] * (count * len(self.steps)),
                "entry": list(law.labels) * len(self.steps),
                "value": law.values.reshape(-1).astype(np.float64),
                "drift": law.drift.reshape(-1),
                "predicted": predicted.reshape(-1).astype(np.float64),
            }
            tables.append(pandas.DataFrame(columns))
        empty = ["step", "time", "law", "entry", "value", "drift", "predicted"]
        return pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame(columns=empty)

    def plot(self, **options: Any) -> Any:
        """One panel for each kind of laws: drift against time, and what was predicted (extra ``plots``)."""
        from conslaw import plots

        return plots.drift(self, **options)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary, without the parameters themselves."""
        laws = [
            {
                "text": law.text,
                "latex": law.latex,
                "labels": list(law.labels),
                "values": law.values.astype(np.float64).tolist(),
                "predicted": None if law.predicted is None else law.predicted.astype(np.float64).tolist(),
                "terms": law.terms.tolist(),
                "rounding": law.rounding,
            }
            for law in self.laws
        ]
        return {
            **display.stamp("drift", VERSION),
            "title": self.title,
            "method": self.method,
            "steps": self.steps.tolist(),
            "times": self.times.tolist(),
            "laws": laws,
            "exact": self.exact,
            "stopped": self.stopped,
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary; the parameters are not in it."""
        display.check_stamp(data, "drift", VERSION)
        laws = tuple(
            LawDrift(
                law["text"],
                law["latex"],
                tuple(law["labels"]),
                _table(law["values"], len(law["labels"])),
                None if law["predicted"] is None else _table(law["predicted"], len(law["labels"])),
                np.asarray(law["terms"], np.float64),
                law["rounding"],
            )
            for law in data["laws"]
        )
        return cls(
            data["title"],
            data["method"],
            np.asarray(data["steps"], np.int64),
            np.asarray(data["times"], np.float64),
            laws,
            {},
            data["exact"],
            data["stopped"],
            tuple(data["remarks"]),
        )


def _floor(law: LawDrift) -> float:
    """The rounding floor of the worst law, relative to its size."""
    return float(_over(law.floor, law.size).max(initial=0.0))


def _table(rows: Sequence[Sequence[float]], columns: int) -> Floats:
    return np.asarray(rows, np.float64).reshape(-1, columns)
