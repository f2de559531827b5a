"""Verification of certificates, by other code than that which made them.

``reading`` checks every name, number and shape; ``rules`` reduces what a certificate says to small
statements, one function for each theorem; ``kernel`` decides those, from the definitions.  What one must
believe is said in *Certificates* in the documentation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from conslaw import display
from conslaw.certificates import (
    ansatz_rules,
    array_files,
    groups,
    neurovarieties,
    neurovariety_ranks,
    rules,
)
from conslaw.certificates.budget import BYTES, OPERATIONS, NotChecked, Task
from conslaw.certificates.kernel import Refuted
from conslaw.certificates.model_dimensions import OwnModel
from conslaw.certificates.reading import printable, problem, read
from conslaw.certificates.subject import Subject
from conslaw.certificates.written import DIMENSION, FORMAT, KIND, MODEL_DIMENSION, VERSION, claim, digests
from conslaw.errors import ConslawError, TooLargeError

logger = logging.getLogger(__name__)

LARGEST_BUDGET = 10_000.0  # what anybody may want to allow
Verdict = Literal["ok", "FAIL", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what, with which verdict (``"ok"``, ``"FAIL"`` or ``"not checked"``), and
    what was found.
    """

    what: str
    verdict: Verdict
    found: str

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return self.verdict == "ok"


@dataclass(frozen=True, repr=False)
class Verification(display.Shown):
    """The result of :func:`verify`; printing it shows every check."""

    claim: str
    checks: Sequence[Check] = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """``"ok"`` if every check holds, ``"FAIL"`` if one does not, ``"not checked"`` if one would take too
        much work.
        """
        found = {check.verdict for check in self.checks}
        return "FAIL" if "FAIL" in found else "not checked" if "not checked" in found else "ok"

    @property
    def ok(self) -> bool:
        """Whether the certificate is valid."""
        return self.verdict == "ok"

    @property
    def about(self) -> str:
        """What was to be proved."""
        return self.claim

    @property
    def proved(self) -> Mapping[str, Any]:
        """The claim, if every check holds."""
        return {"claim": self.claim} if self.ok else {}

    @property
    def probable(self) -> Mapping[str, Any]:
        """Nothing: a certificate is valid or not."""
        return {}

    def _summary(self) -> display.Summary:
        said = {"ok": "verified", "FAIL": "NOT verified", "not checked": "NOT CHECKED"}[self.verdict]
        rows = [(f"{check.verdict:<4} {check.what}", printable(check.found)) for check in self.checks]
        return display.Summary(f"{said}: {printable(self.claim)}", rows)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        checks = [{"what": c.what, "verdict": c.verdict, "found": c.found} for c in self.checks]
        stamp = display.stamp("verification", 1)
        return {**stamp, "claim": self.claim, "verdict": self.verdict, "checks": checks}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A verification from its JSON."""
        display.check_stamp(data, "verification", 1)
        return cls(data["claim"], [Check(**check) for check in data["checks"]])


def verify(source: str | Path | Mapping[str, Any], *, budget: float = 1.0) -> Verification:
    """Check a certificate: both bounds again, with other code than that which found them.

    Parameters
    ----------
    source : path of a JSON or NPZ file, ``"-"`` for standard input, or the certificate itself
    budget : float > 0
        How much work may be done, in units of 10**9 multiplications and of 1 GB (1 is some ten seconds,
        seldom a minute).  What would take more, by an estimate that is made first, is not begun.

    Returns
    -------
    Verification
        One check a line; ``ok`` if all hold.

    Raises
    ------
    ConslawError
        If the source is no certificate at all (unreadable, not JSON, not of the format), or of a kind or
        version that proves nothing.

    Examples
    --------
    >>> import conslaw
    >>> certificate = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([3, 2, 4]))).certificate()
    >>> conslaw.verify(certificate).ok
    True
    """
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
        raise ConslawError(f"budget={budget!r}: give a positive number")
    if (arrays := array_files.read(source)) is not None:
        claimed, check_arrays = array_files.checker(arrays)
        return Verification(claimed, list(check_arrays(arrays, budget)))
    whole = read(source)
    made = _unchanged(whole)
    kind = whole.get("kind") if isinstance(whole, dict) else None
    if isinstance(whole, dict) and whole.get("format") == FORMAT and whole.get("version") == 1:
        whole, kind = _of_version_1(whole), KIND
    if not isinstance(kind, str) or kind not in KINDS:
        shown = (
            f"kind is {str(kind)[:40]!r}, not one of {', '.join(KINDS)}"
            if isinstance(whole, dict)
            else "not of type object"
        )
        raise ConslawError(f"not a {FORMAT}: {shown}")
    schema, checks = KINDS[kind]
    if trouble := problem(whole, schema):
        raise ConslawError(f"not a {FORMAT} of version {VERSION}: {trouble}")
    return Verification(whole["claim"], [made, *checks(whole, budget)])


# one kind of certificate: conservation laws


def conservation_laws(whole: Mapping[str, Any], budget: float) -> Iterator[Check]:
    """The checks of a certificate of conservation laws: what each part costs is known before any part is
    begun.
    """
    subject, bounds, tasks = Subject(whole), dict[str, int](), list[tuple[str, Task]]()
    for what, read_part in (("model", subject.build), ("flow", subject.derive)):
        yield (done := checked(what, read_part))
        if not done.ok:
            return
    upper = UPPER[whole["upper"]["method"]]
    lower = ansatz_rules.matrix_ansatz if whole["lower"]["method"] == "families" else rules.lower_bound
    plans: dict[str, Callable[[], Task | None]] = {
        "drift": subject.drift,
        "at most": lambda: upper(whole, subject),
        "at least": lambda: lower(whole, subject),
    }
    for what, plan in plans.items():
        planned = checked(what, partial(_plan, tasks, what, plan))
        if not planned.ok:
            yield planned
        if planned.verdict == "not checked":
            return
    operations = sum(task.operations for _, task in tasks) / OPERATIONS
    memory = max((task.bytes for _, task in tasks), default=0.0) / BYTES
    if max(operations, memory) > budget:
        enough = f": --budget {max(operations, memory) * 1.05:.2g} allows them"
        found = f"about {operations:.2g}·10⁹ multiplications and {memory:.2g} GB"
        yield Check("work", "not checked", found + enough * (max(operations, memory) < LARGEST_BUDGET))
        return

    def decided(what: str, task: Task) -> str:
        found = task.run()
        if isinstance(found, str):
            return found
        bounds[what], text = found
        return str(text)

    parts = [(what, partial(decided, what, task)) for what, task in tasks]
    yield from _in_order([*parts, ("conclusion", lambda: _conclusion(whole, subject, bounds))])


def _plan(tasks: list[tuple[str, Task]], what: str, plan: Callable[[], Task | None]) -> str:
    if task := plan():
        tasks.append((what, task))
    return ""


def dimension_of_a_neurovariety(whole: Mapping[str, Any], budget: float) -> Iterator[Check]:
    """The checks of a certificate of a dimension."""
    work = checked("work", lambda: neurovarieties.work(whole, budget * OPERATIONS))
    if not work.ok:
        yield work
        return
    bounds = {"at most": neurovarieties.upper, "at least": neurovariety_ranks.lower}
    parts = [(what, partial(check, whole)) for what, check in bounds.items()]
    yield from _in_order([*parts, ("conclusion", partial(neurovarieties.conclusion, whole))])


def dimension_of_a_model(whole: Mapping[str, Any], budget: float) -> Iterator[Check]:
    """The checks of a certificate of the dimension of a user's own model."""
    made = list[OwnModel]()

    def build() -> str:
        made.append(OwnModel(whole))
        return f"{whole['model']['name']}, from its array code as data"

    yield (built := checked("model", build))
    if not built.ok:
        return
    [model] = made
    if not (work := checked("work", lambda: model.work(budget * OPERATIONS))).ok:
        yield work
        return
    parts = {"at most": model.upper, "at least": model.lower, "conclusion": model.conclusion}
    yield from _in_order(list(parts.items()))


UPPER = {"brackets": rules.upper_bound, "subnetworks": rules.splitting, "groups": groups.groups}
KINDS: dict[str, tuple[str, Callable[[Mapping[str, Any], float], Iterator[Check]]]] = {
    KIND: ("certificate.schema.json", conservation_laws),
    DIMENSION: ("neurovariety.schema.json", dimension_of_a_neurovariety),
    MODEL_DIMENSION: ("model_dimension.schema.json", dimension_of_a_model),
}


def checked(what: str, run: Callable[[], str]) -> Check:
    """The verdict on one thing, whatever happens."""
    logger.info("checking: %s", what)
    try:
        return Check(what, "ok", run())
    except Refuted as error:
        return Check(what, "FAIL", str(error))
    except (NotChecked, TooLargeError) as error:
        return Check(what, "not checked", str(error))
    except MemoryError:
        return Check(what, "not checked", "out of memory")
    except Exception as error:  # brought about by a hostile certificate: what is not checked is not proved
        return Check(what, "FAIL", f"cannot be checked: {type(error).__name__}: {error}"[:300])


def _in_order(parts: Sequence[tuple[str, Callable[[], str]]]) -> Iterator[Check]:
    """The verdicts, as far as all is checked: nothing is concluded from what is not."""
    for what, run in parts:
        yield (done := checked(what, run))
        if done.verdict == "not checked":
            return


def _unchanged(whole: Any) -> Check:
    """Whether each section has the digest that it was made with: what was changed by accident is named."""
    try:
        changed = [name for name, digest in digests(whole).items() if whole["digests"].get(name) != digest]
    except (LookupError, TypeError, AttributeError):
        changed = ["digests"]
    if changed:
        return Check(
            "unchanged",
            "FAIL",
            f"the section {', '.join(map(repr, changed))} was changed after the certificate was made",
        )
    return Check("unchanged", "ok", "every section has the digest that it was made with")


def _of_version_1(whole: Mapping[str, Any]) -> dict[str, Any]:
    """A certificate of version 0.1.0 of the package in the format of today, where it proves what it says."""
    upper, lower, model = (whole.get(name) for name in ("upper", "lower", "model"))
    if not isinstance(upper, dict) or not isinstance(lower, dict):
        raise ConslawError(f"not a {FORMAT}: it has no bounds")
    if upper.get("method") == "subnetworks" or lower.get("method") == "families":
        raise ConslawError(
            "a certificate of format 1 by subnetworks or families: conslaw 0.1.0 took ranks at several "
            "points for ranks at one, which proves nothing; make it again with this version"
        )
    if isinstance(model, dict) and isinstance(model.get("potential"), dict):
        model = {**model, "graph": model["potential"].get("graph")}
        del model["potential"]
    upper = {name: value for name, value in upper.items() if name not in ("seed", "drawn")}
    return {**whole, "version": VERSION, "kind": KIND, "model": model, "upper": upper}


def _conclusion(whole: Mapping[str, Any], subject: Subject, found: Mapping[str, int]) -> str:
    claimed = whole["bounds"]
    if claimed["state_dimension"] != subject.dimension:
        raise Refuted(f"the state has {subject.dimension} coordinates, not {claimed['state_dimension']}")
    for name, what, words in (("laws_at_most", "at most", "upper"), ("laws_found", "at least", "lower")):
        if what not in found:
            raise Refuted(f"the {words} bound does not hold")
        if found[what] != claimed[name]:
            raise Refuted(f"{name} is {found[what]}, not {claimed[name]}")
    complete = found["at most"] == found["at least"]
    if claimed["complete"] != complete:
        raise Refuted(f"complete is {complete}, not {claimed['complete']}")
    stated = claim(whole["model"], whole["flow"], claimed)
    if stated != whole["claim"]:
        raise Refuted(f"what is proved is {stated!r}, not what is claimed")
    return "both bounds meet" if complete else "the bounds do not meet, and the claim says so"
