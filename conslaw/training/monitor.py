"""Laws watched while PyTorch trains: hooks on the optimizer, and nothing else in the user's loop changes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.answers import Analysis
from conslaw.errors import ConslawError, check_flags, check_seed
from conslaw.laws.forms import Part
from conslaw.models.potential import is_positive_integer
from conslaw.training.drift import Drift, LawDrift
from conslaw.training.optimizers import WAYS, NoPredictionError, arrays_of, groups_of, rates_of, step_of
from conslaw.training.predictions import Predicted, Step
from conslaw.training.slices import LARGEST, Slices, numbers
from conslaw.training.watched import Watched, watched


@dataclass
class _Row:
    """What is kept of a step: the values of all parts, one after the other, and how the step was made."""

    step: int
    values: Any  # at theta, before the step
    how: Step | None = None  # None if it is not predicted
    along: Any = None  # between theta and v, before the step
    applied: Any = None  # at u
    mixed: Any = None  # between u and v+


class Monitor(display.Shown):
    """Watches the laws of an analysis while an optimizer trains a module.

    A context manager; the training loop stays as it is.  Every so many steps the laws are evaluated, beside
    the exact prediction of what this step of ``torch.optim.SGD`` does to them: with momentum, Nesterov's
    rule, dampening, coupled weight decay, learning rates that change, clipped or accumulated gradients.  Of
    any other optimizer the laws are recorded without a prediction.

    Parameters
    ----------
    module : torch.nn.Module
    analysis : Analysis
        Of its gradient flow; of a flow with ``metric={"W1": rate}`` where parameter groups have rates of
        their own.
    optimizer : torch.optim.Optimizer
    every : record every so many steps
        With 1 the prediction is exact for the whole run, else that of the steps recorded, times as many.
    names : mapping from arrays of the analysis to parameters of the module, optional
        ``{"W1": "0.weight"}``; the module may then have parameters more (an output bias, say).  By default
        all have the same names.
    entries : whether all laws are watched
        By default of a Gram matrix z'Gz for four random vectors z of signs, and of a vector of laws the first
        8 entries.
    writer : optional
        Anything with ``add_scalar(tag, value, step)``, such as TensorBoard's ``SummaryWriter``.
    seed : of the random vectors

    Raises
    ------
    ConslawError
        If the module, the optimizer and the analysis do not fit.  Within the run nothing is raised: what goes
        wrong is a warning, once, and recording stops.

    Examples
    --------
    >>> import conslaw, torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2, bias=False))
    >>> analysis = conslaw.analyze(conslaw.relu([3, 4, 2], bias=True))
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> x, y = torch.randn(20, 3), torch.randn(20, 2)
    >>> names = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight"}
    >>> with conslaw.Monitor(net, analysis, optimizer, every=1, names=names) as monitor:
    ...     for _ in range(10):
    ...         optimizer.zero_grad()
    ...         ((net(x) - y) ** 2).mean().backward()
    ...         optimizer.step()
    >>> monitor.drift().laws[0].error < 1e-5
    True
    """

    def __init__(
        self,
        module: Any,
        analysis: Analysis,
        optimizer: Any,
        *,
        every: int = 10,
        names: Mapping[str, str] | None = None,
        entries: bool = False,
        writer: Any = None,
        seed: int = 0,
    ) -> None:
        self._torch = torch = _torch()
        check_flags(entries=entries)
        if not is_positive_integer(every):
            raise ConslawError(f"every={every!r}: give a positive integer")
        if not isinstance(module, torch.nn.Module):
            raise ConslawError(f"module: {type(module).__name__} is no torch.nn.Module")
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ConslawError(f"optimizer: {type(optimizer).__name__} is no torch.optim.Optimizer")
        if writer is not None and not callable(getattr(writer, "add_scalar", None)):
            raise ConslawError(f"writer: {type(writer).__name__} has no add_scalar(tag, value, step)")
        laws, _ = watched(analysis, entries=entries, seed=check_seed(seed))
        self._laws = [law for law in laws if not law.skew]
        self._title, self._every, self._writer = analysis.title, int(every), writer
        if not self._laws:
            raise ConslawError(f"{self._title}: no law of degree at most 2 in the parameters is known")
        self._parts = [part for law in self._laws for part in law.parts]
        used = dict.fromkeys(name for part in self._parts for name in part.arrays)
        arrays = arrays_of(module, analysis, names)
        self._arrays = {name: arrays[name] for name in used}
        self._optimizer, self._groups = optimizer, groups_of(optimizer, self._arrays)
        self._list = [x.parameter for x in self._arrays.values()]
        self._whole = not any(x.part or x.shape != x.parameter.shape for x in self._arrays.values())
        self._shapes, self._device = [p.shape for p in self._list], self._list[0].device.type
        places = {name: i for i, name in enumerate(used)}
        self._multiplies = any(p.form.multiplies for p in self._parts)
        looks = {(places[n], str(p.index)): (places[n], p.index) for p in self._parts for n in p.arrays}
        self._looks, order = list(looks.values()), list(looks)
        self._plan = [
            (p.form, [order.index((places[n], str(p.index))) for n in p.arrays]) for p in self._parts
        ]
        self._rates, self._remark = dict[str, float](), ""
        try:
            self._rates = rates_of(analysis)
            if not isinstance(optimizer, torch.optim.SGD):
                raise NoPredictionError(
                    f"{type(optimizer).__name__} makes no gradient steps: these are not laws of this "
                    f"optimizer, and there is no prediction."
                )
        except NoPredictionError as reason:
            self._remark = str(reason)
        self._rows, self._steps, self._stopped = list[_Row](), 0, ""
        self._hooks, self._open = list[Any](), list[Any]()
        self._views: tuple[list[int], list[Any]] = ([], [])
        self._known: tuple[Any, Step] | None = None
        theta = {name: x.of(x.parameter.detach()) for name, x in self._arrays.items()}
        self._size = [law.magnitude(theta) for law in self._laws]
        seen = self._seen([p.detach() for p in self._list])
        few = sum(x.numel() for x in seen) <= LARGEST
        self._kept = [Slices(torch, self._at, seen) for _ in range(2)] if few else []

    def __enter__(self) -> Self:
        if self._hooks:
            raise ConslawError("this monitor is on already")
        if self._rows and not self._stopped:
            self._guarded(self._go_on)
        self._hooks = [
            self._optimizer.register_step_pre_hook(self._before),
            self._optimizer.register_step_post_hook(self._after),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self.record()

    def _go_on(self) -> None:
        """Whether the weights are those of the last record."""
        if (numbers(self._values()) != numbers(self._rows[-1].values)).any():
            self._remark = "The weights changed while the monitor was off: no prediction."

    def record(self) -> None:
        """Record the laws as they are now: by hand, where there are no hooks to do it, or between them."""
        if not self._stopped:
            self._guarded(lambda: self._add(_Row(self._steps, self._values())))

    def _add(self, row: _Row) -> None:
        if self._rows and self._rows[-1].step == row.step and self._rows[-1].how is None:
            self._rows.pop()
        self._rows.append(row)
        if self._writer is not None and np.isfinite(values := numbers(row.values)).all():
            first = numbers(self._rows[0].values)
            for law, at in zip(self._laws, self._places(), strict=True):
                drift = _law(law, at, values) - _law(law, at, first)
                self._writer.add_scalar(f"conslaw/{law.text}", float(abs(drift).max()), row.step)

    # in the loop

    def _before(self, *_: object) -> None:
        """Before a step of the optimizer."""
        if self._steps % self._every == 0 and not self._stopped:
            self._guarded(self._begin)
        self._steps += 1

    def _after(self, *_: object) -> None:
        """After a step of the optimizer."""
        if self._open and not self._stopped:
            self._guarded(self._end)

    def _guarded(self, action: Any) -> None:
        """Whatever goes wrong here is no reason to stop the training."""
        try:
            if self._multiplies and self._torch.is_autocast_enabled(self._device):
                with self._torch.autocast(self._device, enabled=False):  # forms are as precise as weights
                    action()
            else:
                action()
        except Exception as error:
            self._stopped = f"{error} (after {self._steps} steps)"
            with suppress(Warning):
                warnings.warn(f"conslaw.Monitor stops recording: {self._stopped}", stacklevel=2)

    def _begin(self) -> None:
        """Record the laws, and what is known before the step: gradients are not, if a closure makes them."""
        row = _Row(self._steps, self._values())
        if not self._remark and (how := self._how()):
            row.how, before = how, None
            if how.momentum and (self._every > 1 or not self._rows):
                row.along = self._along()
            if how.nesterov and (buffers := self._buffers()):
                before = [v.clone() for v in self._seen(buffers)]
            elif how.decays and not how.momentum:
                before = [theta.clone() for theta in self._views[1]]
            self._open = [row, before]
        self._add(row)

    def _end(self) -> None:
        """Record what was applied."""
        (row, before), self._open, strided = self._open, [], self._torch.strided
        gradients = [p.grad for p in self._list]
        for g in gradients:
            if g is None or g.layout is not strided:
                self._remark = f"A parameter had no dense gradient at step {row.step}: no prediction."
                return
        if row.how.nesterov:
            after, beta = self._seen(self._buffers()), row.how.momentum
            u = [(1 + beta) * x for x in after]  # g' + beta v+, and g' = v+ - beta v
            if before:
                u = [x - beta * y for x, y in zip(u, before, strict=True)]
            row.applied, row.mixed = self._at(u), self._between(u, after)
        else:
            moved = row.how.momentum
            seen = self._seen(self._buffers()) if moved else self._slopes(gradients, row.how, before)
            row.applied = self._later(1, seen)

    def _how(self) -> Step | None:
        """How the next step is made, if there is a formula; the same as the last one, as a rule."""
        key = [(float(group["lr"]), *map(group.get, WAYS)) for group in self._optimizer.param_groups]
        if self._known and self._known[0] == key:
            return self._known[1]
        try:
            first = not self._buffers()
            how = step_of(self._optimizer, self._groups, self._rates, first)
        except NoPredictionError as reason:
            self._remark = str(reason)
            return None
        self._known = None if first and how.momentum else (key, how)
        return how

    def _buffers(self) -> list[Any]:
        """The momentum buffers, none if there are none yet."""
        state = self._optimizer.state
        found = [state[p].get("momentum_buffer") if p in state else None for p in self._list]
        return [] if any(x is None for x in found) else found

    def _slopes(self, gradients: Sequence[Any], how: Step, before: Sequence[Any] | None) -> list[Any]:
        """What is seen of g' = g + lambda theta, theta as it was before the step."""
        found = self._seen(gradients)
        groups = self._optimizer.param_groups
        if not before and not any(group.get("maximize") for group in groups):
            return found
        names, decays = list(self._arrays), how.decays or {}
        for k, (i, _) in enumerate(self._looks):
            if groups[self._groups[names[i]]].get("maximize"):
                found[k] = -found[k]
            if before:
                found[k] = found[k].add(before[k], alpha=decays.get(names[i], 0))
        return found

    def _along(self) -> Any:
        """The parts between theta and v; those of degree 1 at v."""
        buffers = self._buffers()
        return self._between(self._views[1], self._seen(buffers)) if buffers else None

    def _values(self) -> Any:
        """The values of all parts."""
        pointers = [p.data_ptr() for p in self._list]
        if pointers != self._views[0]:  # the weights have moved: the views are made again
            for p, shape in zip(self._list, self._shapes, strict=True):
                if p.shape != shape:
                    raise ConslawError(
                        f"a parameter has changed its shape from {tuple(shape)} to {tuple(p.shape)}"
                    )
            self._views = pointers, self._seen([p.detach() for p in self._list])
        return self._later(0, self._views[1])

    def _later(self, which: int, seen: Sequence[Any]) -> Any:
        """The values of all parts, at a point or at what was applied; evaluated later if that is little to
        keep.
        """
        return self._kept[which].keep(seen) if self._kept else self._at(seen)

    def _seen(self, arrays: Sequence[Any]) -> list[Any]:
        """What is looked at of tensors like the parameters, in their order."""
        if not self._whole:
            arrays = [x.of(tensor) for x, tensor in zip(self._arrays.values(), arrays, strict=True)]
        return [arrays[i][index] if index else arrays[i] for i, index in self._looks]

    def _at(self, seen: Sequence[Any]) -> Any:
        """The values of all parts, one after the other, from what is seen."""
        return self._torch.cat([form(*[seen[i] for i in of]) for form, of in self._plan])

    def _between(self, x: Sequence[Any], y: Sequence[Any]) -> Any:
        """The bilinear forms of all parts; those of degree 1 at y."""
        found = []
        for form, of in self._plan:
            if len(of) == 1:
                found.append(form(y[of[0]]))
            elif of[0] == of[1]:
                found.append(form(x[of[0]], y[of[0]]))
            else:
                found.append((form(x[of[0]], y[of[1]]) + form(y[of[0]], x[of[1]])) / 2)
        return self._torch.cat(found)

    # the answer

    def drift(self) -> Drift:
        """What was recorded so far, beside what was predicted.

        Raises
        ------
        ConslawError
            If nothing was recorded yet.
        """
        rows = [row for row in self._rows if row.values is not None]
        if not rows:
            raise ConslawError("nothing is recorded yet: train within `with monitor:`, or call record()")
        table = np.stack([numbers(row.values) for row in rows])
        finite = np.isfinite(table).all(axis=1)
        stopped = self._stopped
        if not finite.all():
            last = int(np.argmin(finite))
            stopped = f"the weights are not finite at step {rows[last].step}; make the step smaller"
            rows, table = rows[: max(last, 1)], table[: max(last, 1)]
        predictable = not self._remark and all(row.how and row.applied is not None for row in rows[:-1])
        steps = np.array([row.step for row in rows], np.int64)
        laws = list[LawDrift]()
        rounding = float(self._torch.finfo(self._list[0].dtype).eps) * sqrt(max(steps[-1], 1))
        if not stopped:  # the terms of laws that begin at 0 are known at the end
            theta = {name: x.of(x.parameter.detach()) for name, x in self._arrays.items()}
            both = zip(self._laws, self._size, strict=True)
            self._size = [self._torch.fmax(size, law.magnitude(theta)) for law, size in both]
        for law, at, size in zip(self._laws, self._places(), self._size, strict=True):
            values = _law(law, at, table.T).T
            predicted = _predicted(law, at, rows, table, values) if predictable else None
            laws.append(LawDrift(law.text, law.latex, law.labels, values, predicted, numbers(size), rounding))
        exact = bool(predictable and (np.diff(steps) == 1).all())
        remarks = [self._remark] * bool(self._remark)
        if predictable and not exact:
            remarks.append(
                "The prediction is that of the steps recorded, times as many: every=1 has all of them."
            )
        name = type(self._optimizer).__name__
        times = self._times(rows)
        return Drift(
            f"{self._title}, trained by {name}",
            name,
            steps,
            times,
            tuple(laws),
            {},
            exact,
            stopped,
            tuple(remarks),
        )

    def _places(self) -> list[dict[Part, slice]]:
        """Where in a row the parts of each law are."""
        found, start = list[dict[Part, slice]](), 0
        for law in self._laws:
            places = {}
            for part in law.parts:
                places[part] = slice(start, start + len(law.labels))
                start += len(law.labels)
            found.append(places)
        return found

    def _times(self, rows: Sequence[_Row]) -> Any:
        """The sum of the learning rates; the number of steps where they are not known."""
        if not all(row.how for row in rows[:-1]):
            return np.array([row.step for row in rows], np.float64)
        gaps = [row.how.rate * (after.step - row.step) for row, after in pairwise(rows) if row.how]
        return np.concatenate([[0.0], np.cumsum(gaps)])

    def _summary(self) -> display.Summary:
        if not self._rows:
            rows = [(law.text, f"{len(law.labels)} watched") for law in self._laws]
            return display.Summary(f"{self._title}: nothing recorded yet", rows)
        return self.drift()._summary()

    def plot(self, **options: Any) -> Any:
        """One panel for each layer's laws (extra ``plots``)."""
        return self.drift().plot(**options)


def _predicted(law: Watched, at: Mapping[Part, slice], rows: Sequence[_Row], table: Any, values: Any) -> Any:
    """The predictions at each row: each step's own, exactly, times the number of steps until the next row."""
    known = Predicted(values[0], np.zeros(values.shape[1]))
    found = [known.law]
    for k, (row, after) in enumerate(pairwise(rows)):
        how, gap = row.how, after.step - row.step
        assert how is not None
        if row.along is not None:
            along = numbers(row.along)
            twice = {p: (2 if len(p.arrays) == 2 else 1) * along[i] for p, i in at.items()}
            known = Predicted(known.law, law.total(twice, how.rate_of))
        elif gap > 1 or k == 0:
            known = Predicted(known.law, 0 * known.law)
        applied = numbers(row.applied)
        mixed = applied if row.mixed is None else numbers(row.mixed)
        squares = ({p: x[at[p]] for p in law.quadratic} for x in (applied, mixed))
        made = known.after(how, law, {p: table[k][i] for p, i in at.items()}, *squares)
        known = Predicted(known.law + gap * (made.law - known.law), made.along)
        found.append(known.law)
    return np.stack(found)


def _law(law: Watched, at: Mapping[Part, slice], values: Any) -> Any:
    """The laws from the values of all parts, which stand along the first axis."""
    return law.total({part: values[place] for part, place in at.items()})


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise ConslawError("a Monitor watches PyTorch modules: pip install torch") from None
    return torch
