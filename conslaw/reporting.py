"""Every question about one model on one page, each within a limit of time: text, HTML, JSON."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Self

from conslaw import display, report_html
from conslaw.analysis import analyze
from conslaw.answers import Analysis
from conslaw.certificates import files
from conslaw.errors import ConslawError, Interrupted, check_seed, is_finite_number
from conslaw.flows.flow import Flow, gradient_flow, momentum_flow
from conslaw.models.potential import Model
from conslaw.time_limit import TimeIsUp, time_limit
from conslaw.varieties.dimensions import Dimension, dimension

VERSION = 1  # of the JSON
GRADIENT, MOMENTUM = "gradient flow", "momentum"
FLOWS: dict[str, Callable[[Model], Flow]] = {  # side by side
    GRADIENT: gradient_flow,
    "weight decay 1": partial(gradient_flow, weight_decay=1),
    MOMENTUM: momentum_flow,
    "momentum, damping 1/2": partial(momentum_flow, damping="1/2"),
    "momentum, Nesterov": partial(momentum_flow, damping="nesterov"),
}


@dataclass(frozen=True)
class Part:
    """One question of a report.

    Attributes
    ----------
    name : which
    answer : what was found, None if nothing was
    missing : why there is no answer, or not all of it; None if the question is answered
    digest : SHA-256 of the certificate, as ``conslaw.certificates.files`` writes it; None without one
    seconds : on the clock
    """

    name: str
    answer: Analysis | Dimension | None
    missing: str | None
    digest: str | None
    seconds: float

    @property
    def status(self) -> str:
        """In a few words why there is no answer."""
        return "not answered: see below" if self.missing and len(self.missing) > 40 else self.missing or ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        answer = None if self.answer is None else self.answer.to_json()
        return {**vars(self), "answer": answer}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A part from its JSON."""
        given = data["answer"]
        kind: Any = Dimension if given and given.get("format") == "conslaw dimension" else Analysis
        return cls(**{**data, "answer": given and kind.from_json(given)})


@dataclass(frozen=True, repr=False)
class Report(display.Shown):
    """All answers about one model.

    Attributes
    ----------
    model : its name and sizes
    parameters : number of scalar parameters
    readings : how each nonlinearity was read, as in :class:`conslaw.Count`
    represents : the dimension of what it can represent
    flows : the laws under each flow
    limit : seconds that each part had
    seed : what reproduces the answers
    """

    model: str
    parameters: int
    readings: tuple[Mapping[str, Any], ...] = field(repr=False)
    represents: Part = field(repr=False)
    flows: tuple[Part, ...] = field(repr=False)
    limit: float
    seed: int

    @property
    def about(self) -> str:
        """What the answers are about."""
        whose = "the parametrisation that its readings make" if self.readings else "its potential"
        return (
            f"{self.model}: dimension, fibre and symmetries are about {whose} as a function of all data, "
            f"masks and readings with them; laws hold for all data and all losses, and bounds on them "
            f"from above are about {whose}, near a generic point"
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The questions, in order."""
        return (self.represents, *self.flows)

    @property
    def proved(self) -> Mapping[str, Any]:
        """What each part proves, by its name."""
        return {"parameters": self.parameters} | self._of_parts("proved")

    @property
    def probable(self) -> Mapping[str, Any]:
        """What is only probable in each part."""
        return self._of_parts("probable")

    def _of_parts(self, kind: str) -> dict[str, Any]:
        return {
            f"{part.name}: {name}": value
            for part in self.parts
            if part.answer is not None
            for name, value in getattr(part.answer, kind).items()
        }

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        parts = {"represents": self.represents.to_json(), "flows": [part.to_json() for part in self.flows]}
        readings = [dict(reading) for reading in self.readings]
        return {**display.stamp("report", VERSION), **vars(self), "readings": readings, **parts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A report from its JSON."""
        display.check_stamp(data, "report", VERSION)
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(
            **values
            | {
                "readings": tuple(data["readings"]),
                "represents": Part.from_json(data["represents"]),
                "flows": tuple(map(Part.from_json, data["flows"])),
            }
        )

    def _summary(self) -> display.Summary:
        rows = [("parameters", f"{self.parameters:,}"), *self._represented()]
        rows += [(part.name, self._laws_of(part)) for part in self.flows]
        numbers = Counter(reading["operation"] for reading in self.readings)
        read = ", ".join(name + (f" × {n}" if n > 1 else "") for name, n in numbers.items())
        rows += [("momentum loses", self._lost()), ("readings", read or "none")]
        metrics = {part.answer.metric for part in self.flows if isinstance(part.answer, Analysis)}
        rows += [("metric", ", ".join(metrics))] if metrics - {"euclidean"} else []
        sections = [
            display.Section(f"{part.name}: laws", laws) for part in self.flows if (laws := _laws(part))
        ]
        digests = [f"{part.name}  {part.digest}" for part in self.parts if part.digest]
        if digests:
            sections.append(display.Section("certificates: SHA-256 of their files", digests))
        return display.Summary(f"report: {self.model}", rows, self._remarks(), sections)

    @property
    def _of_what(self) -> str:
        """What a bound is about, where that is not the network itself."""
        return " for the parametrisation" if self.readings else ""

    def _represented(self) -> list[tuple[str, str]]:
        """The rows on what the model can represent."""
        found, names = self.represents.answer, ("dimension", "fibre dimension", "symmetries")
        if not isinstance(found, Dimension):
            return [(name, self.represents.status) for name in names]
        size, error = found.parameters, found.error_probability
        own = found.ambient_dimension is None  # its bound from above counts fields, else there are scales
        fields = size - (found.upper_bound if own else found.naive_dimension)
        values = (
            _between(found.dimension, found.upper_bound, error, found.dimension),
            _between(size - found.upper_bound, found.fibre_dimension, error, found.fibre_dimension),
            f"{fields:,} independent fields leave every function as it is   proved"
            if fields
            else "none proved",
        )
        return [(name, value + self._of_what) for name, value in zip(names, values, strict=True)]

    def _laws_of(self, part: Part) -> str:
        """How many laws, and what is proved of that."""
        if not isinstance(part.answer, Analysis):
            return part.status
        found, most = part.answer.laws_found, part.answer.laws_at_most
        if part.answer.complete:
            return f"{found:,} {'law' if found == 1 else 'laws'}   proved: these are all{self._of_what}"
        if not part.answer.lie_ranks[-1]:  # nothing is known from above
            return f"at least {found:,} laws   proved"
        return _between(found, most, part.answer.error_probability, most) + self._of_what

    def _lost(self) -> str:
        """How many laws of gradient flow have no counterpart under momentum, by their numbers."""
        named = {part.name: part.answer for part in self.flows}
        of, left = named[GRADIENT], named[MOMENTUM]
        if not isinstance(of, Analysis) or not isinstance(left, Analysis):
            return "not known: a part is missing"
        least, most = of.laws_found - left.laws_at_most, of.laws_at_most - left.laws_found
        if of.complete and left.complete:
            lost = f"{least:,} of {of.laws_found:,} laws" if least >= 0 else f"none: it has {-least:,} more"
            return f"{lost}   proved{self._of_what}"
        if least >= most or 0 in (of.lie_ranks[-1], left.lie_ranks[-1]):
            return "not known: the bounds do not meet"
        return f"{max(least, 0):,} to {max(most, 0):,} laws   proved{self._of_what}"

    def _remarks(self) -> list[str]:
        """What is missing, and why, where the rows do not say that."""
        told = [part for part in self.parts if part.answer is None and part.status == part.missing]
        return [f"{part.name}: {part.missing}" for part in self.parts if part.missing and part not in told]

    def _bounds(self) -> list[tuple[str, int, int | None]]:
        """Of the laws under each flow, as far as they are known."""
        found = [(part.name, part.answer) for part in self.flows]
        return [
            (name, x.laws_found, x.laws_at_most if x.lie_ranks[-1] else None)
            for name, x in found
            if isinstance(x, Analysis)
        ]

    def _repr_html_(self) -> str:
        summary = self._summary()
        flows = {part.name for part in self.flows}
        rows = [(escape(a), _spaced(display.said(b))) for a, b in summary.rows if a not in flows]
        side = [
            (
                escape(part.name),
                _spaced(self._laws_of(part)),
                "<br/>".join(map(_spaced, _laws(part)[: display.SHOWN])),
            )
            for part in self.flows
        ]
        digests = [
            (escape(part.name), f"<code>{part.digest}</code>", f"{part.seconds:.2g} s")
            for part in self.parts
            if part.digest
        ]
        return "".join(
            [
                f"<p><b>{escape(summary.title)}</b></p>",
                report_html.table((), rows),
                report_html.bars("independent laws under each flow", self._bounds()),
                report_html.table(("trained by", "independent laws", "which"), side),
                *(f"<p>{escape(remark)}</p>" for remark in summary.remarks),
                report_html.table(("certificate of", "SHA-256 of its file", "found in"), digests),
                f"<p>{escape(self.about)}. Seed {self.seed}.</p>",
            ]
        )

    def to_html(self, path: str | Path) -> None:
        """Write one page that asks nothing of a network, for light and dark screens.

        Raises
        ------
        ConslawError
            If it cannot be written.
        """
        page = report_html.page(self.model, self._repr_html_())
        try:
            Path(path).write_text(page, encoding="utf-8")
        except (OSError, ValueError, TypeError) as error:
            raise ConslawError(f"{str(path)[:100]!r}: cannot be written: {error}") from None


def _spaced(text: str) -> str:
    """For HTML, which has no columns within a cell."""
    return escape(text).replace("   ", " · ")


def _between(least: int, most: int, error: float | None, likely: int) -> str:
    """Two bounds, and what is probable between them."""
    if least == most:
        return f"{least:,}   proved"
    probable = "" if error is None or error >= 1 else f"; {likely:,} {display.unless(error)}"
    return f"{least:,} to {most:,}   proved{probable}"


def _laws(part: Part) -> list[str]:
    """The laws in notation, and as polynomials those that it does not cover."""
    if not isinstance(part.answer, Analysis):
        return []
    answer = part.answer
    left = [] if answer._many else answer._left(answer._count())
    written = answer._written() if left else []
    return [*map(str, answer.law_families), *(written[i] for i in left)]


def _within(seconds: float) -> AbstractContextManager[None]:
    """A limit on the clock, where there can be one: in the main thread of a POSIX system."""
    can = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    return time_limit(seconds) if can else nullcontext()


def _part(name: str, ask: Callable[[], Analysis | Dimension], seconds: float) -> Part:
    """The answer to one question, or as much of it as there is time for."""
    answer, missing, digest, begun = None, None, None, time.perf_counter()
    late = f"not done in {seconds:g} s"
    try:
        with _within(seconds):
            answer = ask()
            digest = hashlib.sha256(files.as_json(answer.certificate())).hexdigest()
    except Interrupted as stop:
        if not isinstance(stop.__cause__, TimeIsUp):
            raise
        answer, missing = stop.answer, f"{late}, this is what is proved so far"
    except TimeIsUp:
        missing = late if answer is None else None if digest else f"its certificate was {late}"
    except MemoryError:
        missing = "out of memory"
    except ConslawError as error:
        missing = str(error)
    return Part(name, answer, missing, digest, time.perf_counter() - begun)


def report(model: Model, *, seconds: float = 10.0, seed: int = 0) -> Report:
    """Ask every question about a model, and put the answers on one page.

    What it can represent (dimension, fibre, fields that leave every function as it is); its laws under
    gradient flow, with weight decay, and under momentum with three dampings, side by side; what momentum
    loses; how nonlinearities were read; digests of all certificates.

    Parameters
    ----------
    model : Model
    seconds : float
        For each of the six parts: so much work by estimate, and so much time on the clock (the latter in the
        main thread of a POSIX system).  A part that is not done says so, with what it has proved.
    seed : int
        The same seed gives the same answers, where time suffices.

    Returns
    -------
    Report
        ``str``, HTML in a notebook, ``to_html(path)``, ``to_json()``.

    Raises
    ------
    ConslawError
        If it is no model, or for a bad seed or limit.
    Interrupted
        By Ctrl-C: its ``answer`` has the parts that are done.

    Examples
    --------
    >>> import conslaw
    >>> report = conslaw.report(conslaw.linear([3, 2, 4]))
    >>> report.represents.answer.dimension, [part.answer.laws_found for part in report.flows]
    (10, [3, 3, 1, 1, 1])

    References
    ----------
    [MGP24] arXiv 2405.12888, Section 4: the laws that momentum loses.
    """
    if not isinstance(model, Model):
        raise ConslawError(f"report of {str(model)[:60]!r}: give a model, such as conslaw.linear([3, 2, 4])")
    if not is_finite_number(seconds) or not 0 < seconds < 1e9:
        raise ConslawError(f"seconds={seconds!r}: give a positive number of seconds for each part")
    limit, seed = float(seconds), check_seed(seed)

    def laws(way: Callable[[Model], Flow]) -> Analysis:
        return analyze(way(model), seed=seed, budget=limit)

    asked: dict[str, Callable[[], Analysis | Dimension]] = {"dimension": partial(dimension, model, seed=seed)}
    asked |= {name: partial(laws, way) for name, way in FLOWS.items()}
    parts, stopped = list[Part](), None
    for name, ask in asked.items():
        try:
            if stopped is None:
                parts.append(_part(name, ask, limit))
                continue
        except KeyboardInterrupt as stop:
            stopped = stop
        parts.append(Part(name, None, "interrupted", None, 0.0))
    made = Report(
        model=_title(model),
        parameters=model.size,
        readings=tuple(reading.to_json() for reading in model.readings),
        represents=parts[0],
        flows=tuple(parts[1:]),
        limit=limit,
        seed=seed,
    )
    if stopped is not None:
        raise Interrupted(made) from stopped
    return made


def _title(model: Model) -> str:
    """The name of a model, and how its family was called."""
    widths, power = model.arguments.get("widths"), model.arguments.get("power")
    sizes = " " + "-".join(map(str, widths)) if isinstance(widths, list) else ""
    bias = " with bias" if model.arguments.get("bias") is True else ""
    return f"{model.name}{sizes}{bias}{'' if power is None else f', power {power}'}"
