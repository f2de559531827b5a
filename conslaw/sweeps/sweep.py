"""Sweeps over architectures: a question, asked of thousands of networks."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conslaw.errors import ConslawError
from conslaw.models.own_file import split_name
from conslaw.routes.plan import BUDGET, check_budget
from conslaw.sweeps import tables
from conslaw.sweeps.cases import Space, space
from conslaw.sweeps.journal import read_head
from conslaw.sweeps.questions import ASKED, Builder, InFile, Question
from conslaw.sweeps.ranges import Values
from conslaw.sweeps.running import Sweep, run

Family = str | Sequence[str] | Callable[[Sequence[int]], Any]


def sweep(
    family: Family,
    *,
    widths: Any,
    depth: Values | None = None,
    power: Values | None = None,
    bias: bool | str = False,
    flow: str | Sequence[str] | None = None,
    damping: Any = None,
    ask: str = "analyze",
    budget: float = BUDGET,
    seed: int = 0,
    max_parameters: int | None = None,
    symmetric: bool = False,
    sample: int | None = None,
    first: int | None = None,
    timeout: float | None = None,
    memory: int | str | None = None,
    workers: int = 1,
    cluster: Any = None,
    out: str | Path | None = None,
    retry: str | Iterable[str] = (),
    progress: bool | None = None,
) -> Sweep:
    """Ask a question of many networks, each in a process of its own that is ended at its limits.

    What is finished stays finished, whatever happens: called again with the same ``out``, the sweep goes on
    with the cases that have no row.

    Parameters
    ----------
    family : str, list of them, or function
        ``"linear"``, ``"relu"``, ..., ``"linear,relu"``; a function of the widths that returns a model or a
        flow, or its name ``"FILE.py:NAME"``.
    widths : str or list
        ``"1..5"`` (both ends are in), ``"2..8..2"`` or ``[1, 2, 4]``: any of these in each layer.
        ``"3-1..4-2,5-5-5"`` or ``[[3, 2, 4], [5, 5, 5]]``: layer by layer.
    depth : int, str or list
        Numbers of weight matrices, where ``widths`` and the family do not say it.
    power : int, str or list
        Of the family ``polynomial``.
    bias : bool or ``"both"``
    flow : str or list
        ``"gradient"`` (default), ``"momentum"``, ``"nesterov"``, or several with commas.
    damping : number, str or list
        Of the momentum flows: ``"0,1/2,3/t"``.
    ask : ``"analyze"``, ``"count"`` or ``"dimension"``
    budget, seed : as of :func:`conslaw.analyze`
    max_parameters : int, optional
        Leave out networks with more.
    symmetric : bool
        Of widths and the same reversed take one: they have the same laws in linear networks.
    sample : int, optional
        Only so many of the cases, drawn with the seed.
    first : int, optional
        Only so many of the cases, the first.
    timeout : seconds for each case, optional
        What was proved until then goes into its row.
    memory : bytes, or text such as ``"4GB"``, for each worker, optional
        Kept on Linux.
    workers : int
        Processes, each with one BLAS thread.
    cluster : address of a Dask scheduler, or ``distributed.Client``, optional
        Work there instead; ``workers`` is not used then.
    out : path, optional
        ``.parquet``, ``.csv`` or ``.jsonl``; without it the rows go when the returned object does.
    retry : str or list
        Cases to try again: ``"timeout,error"`` (``memory``, ``killed``).
    progress : bool, optional
        Whether to show how far it is; by default on a terminal.

    Returns
    -------
    Sweep

    Raises
    ------
    ConslawError
        For ranges that are empty, families that do not take what is given, a file of another sweep, one that
        another sweep is writing to, or workers that do not start.

    Examples
    --------
    >>> import conslaw
    >>> swept = conslaw.sweep("linear", widths="1..2", depth=2, flow="gradient,momentum")
    >>> swept.statuses
    {'ok': 16}
    >>> [row["laws_found"] for row in swept.rows()][:4]
    [1, 0, 1, 0]
    """
    own = callable(family) or (isinstance(family, str) and (":" in family or family.endswith(".py")))
    build, families, digest = _own(family) if own else (None, _names(family), None)  # type: ignore[arg-type]
    if not isinstance(ask, str) or ask not in ASKED:
        raise ConslawError(f"ask={ask!r}: give one of {', '.join(ASKED)}")
    if ask == "dimension" and (flow is not None or damping is not None):
        raise ConslawError(
            f"flow={flow!r}, damping={damping!r}: a dimension is that of a model; leave them out"
        )
    chosen = space(
        families,
        widths,
        depth=depth,
        power=power,
        bias=bias,
        flow=flow if flow is not None or ask == "dimension" else "gradient",
        damping=damping,
        max_parameters=max_parameters,
        symmetric=symmetric,
        sample=sample,
        seed=seed,
        first=first,
        own=own,
    )
    question = Question(ask, chosen.seed, check_budget(budget), build)
    limits = {"timeout": timeout, "memory": memory, "workers": workers, "cluster": cluster}
    return _run(chosen, question, digest, out=out, retry=retry, progress=progress, **limits)


def resume(path: str | Path, **options: Any) -> Sweep:
    """Go on with a sweep from its file alone.

    Parameters
    ----------
    path : the table, or its journal
    options : ``timeout``, ``memory``, ``workers``, ``cluster``, ``retry``, ``progress`` of :func:`sweep`

    Raises
    ------
    ConslawError
        If there is no such sweep, or it is of a function that is not in a file, or has changed.
    """
    journal = tables.journal_of(path)
    asked = read_head(journal)["asked"]
    if set(asked) != {"cases", "ask", "budget", "function"}:
        raise ConslawError(
            f"sweep {str(path)!r}: is not one of architectures; start it again as it was started"
        )
    chosen = _space(asked["cases"])
    name, build = chosen.families[0], None
    if asked["function"] is not None:
        if ":" not in name:
            raise ConslawError(
                f"sweep {str(path)!r}: is of the function {name} of a program: call conslaw.sweep there again"
            )
        build, _, digest = _own(name)
    question = Question(asked["ask"], chosen.seed, asked["budget"], build)
    out = str(path).removesuffix(".journal")
    return _run(chosen, question, digest if build else None, out=out, **options)


def _run(chosen: Space, question: Question, digest: str | None, **options: Any) -> Sweep:
    asked = {"cases": chosen.to_json(), "ask": question.ask, "budget": question.budget, "function": digest}
    return run(question, chosen, count=chosen.count(), asked=asked, **options)


def _space(data: Mapping[str, Any]) -> Space:
    """The space from its JSON."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return Space(**{name: tuples(value) for name, value in data.items()})


def _names(family: str | Sequence[str]) -> tuple[str, ...]:
    given = family.split(",") if isinstance(family, str) else family
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise ConslawError(
            f"family={str(family)[:60]!r}: give a name, such as 'linear', or a function of widths"
        )
    return tuple(name.strip() for name in given)


def _own(family: str | Builder) -> tuple[Builder, tuple[str, ...], str]:
    """A function of the user's, its name, and what tells it from another."""
    if isinstance(family, str):
        path, _ = split_name(family)
        InFile(family).check()
        return InFile(family), (family,), hashlib.sha256(path.read_bytes()).hexdigest()
    name = getattr(family, "__qualname__", type(family).__name__)
    try:
        source = inspect.getsource(family)
    except (OSError, TypeError):
        source = repr(getattr(getattr(family, "__code__", None), "co_code", name))
    return family, (name,), hashlib.sha256(source.encode()).hexdigest()
