"""One step of the proof of a bound: a rule and what it is applied to.  A bound is a tree of steps, so that it
can be checked again without the search that found it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Widths = tuple[int, ...]
TRIVIAL = ("parameters without scales", "coefficients", "rank")


@dataclass(frozen=True)
class Step:
    """A rule, what it is applied to, the bound, and the steps that it uses.

    ``layer`` (and ``source``) say where a network is split (and from which layer a hypersurface is counted);
    ``units`` how many units, colours or outputs the rule counts; ``numbers`` what else it needs.
    """

    rule: str
    widths: Widths
    powers: Widths
    bound: int
    layer: int = 0
    source: int = 0
    units: int = 0
    numbers: Widths = ()
    parts: tuple[Step, ...] = ()

    def said(self) -> str:
        """The rule in words."""
        match self.rule:
            case "split" | "bottleneck":
                return f"{self.rule} at layer {self.layer}"
            case "units":
                return f"split before layer {self.layer}, whose units span {self.units} dimensions"
            case "hypersurface":
                return (
                    f"the {self.widths[self.layer]} units of layer {self.layer} lie on a hypersurface "
                    f"over layer {self.source}"
                )
            case "colours" | "colours with shared outputs":
                return f"{self.units} {self.rule}"
            case "outputs dealt":
                return f"the last hidden units dealt to outputs, {self.units} at a time"
            case "forms":
                return f"the units of layer {self.layer} are forms in {self.units} groups of variables"
            case _:
                return self.rule

    def steps(self, least: bool = False) -> list[str]:
        """The step and those that it uses, in words; trivial ones left out."""
        where, how = "-".join(map(str, self.widths)), "at least" if least else "at most"
        below = [line for part in self.parts if part.rule not in TRIVIAL for line in part.steps(least)]
        return [f"{where}: {how} {self.bound:,} ({self.said()})", *dict.fromkeys(below)]

    def to_json(self) -> list[dict[str, Any]]:
        """The steps, each after its parts, which are said by their numbers; the last is this one."""
        written, place = list[dict[str, Any]](), dict[Step, int]()

        def write(step: Step) -> int:
            if step not in place:
                parts = [write(part) for part in step.parts]
                lists = {
                    "widths": list(step.widths),
                    "powers": list(step.powers),
                    "numbers": list(step.numbers),
                }
                numbers = {"layer": step.layer, "source": step.source, "units": step.units}
                one = {"rule": step.rule, **lists, "bound": str(step.bound), **numbers, "parts": parts}
                place[step] = len(written)
                written.append(one)
            return place[step]

        write(self)
        return written
