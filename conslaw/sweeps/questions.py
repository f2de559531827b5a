"""What is asked of each case (how many laws, which laws, what dimension), and the answer as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow, gradient_flow, momentum_flow
from conslaw.models.networks import FAMILIES
from conslaw.models.own_file import load
from conslaw.models.potential import Model
from conslaw.routes.plan import BUDGET

ASKED = ("analyze", "count", "dimension")
BIG = ("ambient_dimension", "naive_dimension", "expected_dimension")  # integers of any size

Builder = Callable[[Sequence[int]], Model | Flow]


@dataclass(frozen=True)
class Quantity:
    """The number that a question is about: between which columns it is proved to lie, and where it is if the
    bounds do not meet but the error probability is known.
    """

    name: str
    at_least: str | None
    at_most: str
    probably: str


QUANTITIES = {
    "count": Quantity("laws", None, "laws_at_most", "laws_at_most"),
    "analyze": Quantity("laws", "laws_found", "laws_at_most", "laws_at_most"),
    "dimension": Quantity("dimension", "dimension", "upper_bound", "dimension"),
}


@dataclass(frozen=True)
class InFile:
    """A function of the widths in a file, by its name ``FILE.py:NAME``."""

    name: str

    def __call__(self, widths: Sequence[int]) -> Model | Flow:
        return self._function(widths)

    def check(self) -> None:
        """Refuse what is no function."""
        _ = self._function

    @cached_property
    def _function(self) -> Builder:
        module, name = load(self.name)
        found = getattr(module, name, None)
        if not callable(found):
            raise ConslawError(f"model {self.name!r}: there is no function of that name in the file")
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Question:
    """A question, as a function of a case; sent to the workers.

    Attributes
    ----------
    ask : ``"analyze"``, ``"count"`` or ``"dimension"``
    seed, budget : as of :func:`conslaw.analyze`
    build : a function of the widths that returns a model or a flow; None for the families
    """

    ask: str
    seed: int = 0
    budget: float = BUDGET
    build: Builder | None = None

    def __call__(self, case: dict[str, Any]) -> dict[str, Any]:
        """The columns of the answer."""
        made = self._made(case)
        if self.ask == "dimension":
            from conslaw.varieties import dimension

            if not isinstance(made, Model):
                raise ConslawError("a dimension is that of a model, and this is a flow")
            return self.partial(dimension(made, seed=self.seed))
        from conslaw.analysis import analyze, count

        question = analyze if self.ask == "analyze" else count
        return self.partial(question(_trained(made, case), seed=self.seed, budget=self.budget))

    @property
    def settings(self) -> dict[str, Any]:
        """What else it takes to ask it again."""
        return {"ask": self.ask, "seed": self.seed} | (
            {} if self.ask == "dimension" else {"budget": self.budget}
        )

    def warm(self) -> None:
        """Import what is needed, before the first case is timed."""
        import_module("conslaw.varieties.dimensions" if self.ask == "dimension" else "conslaw.analysis")
        if isinstance(self.build, InFile):
            self.build.check()

    def partial(self, answer: Any) -> dict[str, Any]:
        """The columns of an answer, also of one that was interrupted."""
        return _of_dimension(answer) if self.ask == "dimension" else _of_laws(answer)

    def _made(self, case: Mapping[str, Any]) -> Model | Flow:
        widths = [int(d) for d in case["widths"].split("-")]
        if self.build is None:
            return FAMILIES[case["family"]](widths, case["bias"], case["power"])
        made = self.build(widths)
        if not isinstance(made, Model | Flow):
            raise ConslawError(f"{case['family']}({widths}) is {str(made)[:60]!r}: no model and no flow")
        return made


def _trained(made: Model | Flow, case: Mapping[str, Any]) -> Flow:
    """The flow that is asked about."""
    if isinstance(made, Flow):
        if (case["flow"], case["damping"]) != ("gradient", None):
            raise ConslawError(f"{case['family']} returns flows: leave flow and damping out")
        return made
    if case["flow"] == "gradient":
        return gradient_flow(made)
    return momentum_flow(made, damping="nesterov" if case["flow"] == "nesterov" else case["damping"])


def _of_laws(answer: Any) -> dict[str, Any]:
    found = ("laws_found", "complete") if hasattr(answer, "complete") else ()
    names = ("parameters", "state_dimension", "laws_at_most", *found, "error_probability", "lie_ranks")
    columns = {name: getattr(answer, name) for name in (*names, "primes")}
    failed = [f"{step.route}: {step.failed}" for step in answer.route.steps if step.failed]
    columns |= {"split": answer.split is not None, "stopped": answer.route.stopped}
    columns["work"] = answer.route.work
    if failed:
        columns["reason"] = "; ".join(failed)
    if any(step.failed == "out of memory" for step in answer.route.steps):
        columns["status"] = "memory"  # of a bound that is proved, but might be better
    return columns


def _of_dimension(answer: Any) -> dict[str, Any]:
    names = (
        "parameters",
        *BIG,
        "dimension",
        "upper_bound",
        "exact",
        "defect",
        "filling",
        "error_probability",
    )
    columns = {name: getattr(answer, name) for name in names}
    return columns | {"primes": answer.prime}
