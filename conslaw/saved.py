"""Answers as JSON, back again: one function for every kind of answer.

What is read is not trusted: it is data, of limited size, checked against a schema (``answer.schema.json``),
and an answer only if it says again what it was read from.  Nothing in it is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from conslaw.certificates import files as written
from conslaw.display import Answer
from conslaw.errors import ConslawError

LARGEST = 2**26  # bytes

HOMES = {  # of each kind of answer
    "count": "answers.Count",
    "analysis": "answers.Analysis",
    "quantity": "laws.own_quantity.Conserved",
    "verification": "certificates.verification.Verification",
    "attainment": "attained.attainment.Attainment",
    "drift": "training.drift.Drift",
    "dimension": "varieties.dimensions.Dimension",
    "equations": "varieties.interpolation.Equations",
    "critical points": "varieties.critical.CriticalPoints",
    "polyhedral complex": "regions.complexes.PolyhedralComplex",
    "polytope": "regions.polytopes.Polytope",
    "data patterns": "regions.patterns.DataPatterns",
    "topology": "regions.level_sets.Topology",
    "wall crossings": "regions.crossings.Crossings",
    "film": "regions.films.Film",
    "report": "reporting.Report",
}


def load(source: str | Path | Mapping[str, Any]) -> Any:
    """The answer that was saved as JSON, whichever it is.

    Parameters
    ----------
    source : path of a file, the JSON text itself, or what :func:`json.loads` made of it
        What ``answer.to_json()`` gave, or the command line with ``--json``.

    Returns
    -------
    Count, Analysis, Verification, Drift, ...
        It shows what it showed, and an analysis evaluates its laws; what it was computed from is not in it.

    Raises
    ------
    ConslawError
        If the source cannot be read, is no answer, is of another version of the format, or larger than 64
        MiB.

    Examples
    --------
    >>> import conslaw, json
    >>> text = json.dumps(conslaw.count(conslaw.linear([3, 2, 4])).to_json())
    >>> conslaw.load(text).laws_at_most
    3
    """
    data = _read(source)
    stamp = data.get("format") if isinstance(data, dict) else None
    kind = stamp.removeprefix("conslaw ") if isinstance(stamp, str) else ""
    if kind == "certificate":
        raise ConslawError("this is a certificate, not an answer: check it with conslaw.verify")
    if kind not in HOMES:
        what = f"its format is {str(stamp)[:60]!r}" if isinstance(data, dict) else type(data).__name__
        raise ConslawError(
            f"no answer of conslaw: {what}; give what answer.to_json() made, 'conslaw count' or the like"
        )
    module, _, name = HOMES[kind].rpartition(".")
    home = getattr(import_module(f"conslaw.{module}"), name)
    if kind == "analysis":
        data.pop("values", None)  # of the command line with --evaluate
    try:
        answer = home.from_json(data)
        again = [json.dumps({**x, "made_by": ""}, sort_keys=True) for x in (data, answer.to_json())]
        trouble = _problem(data) or ("" if again[0] == again[1] else "its parts do not agree")
        if not trouble:
            str(answer), repr(answer), answer._repr_html_()  # it shows what it showed
    except ConslawError as error:
        raise ConslawError(f"load: {error}") from None
    except Exception as error:  # whatever hostile values bring about
        trouble = _problem(data) or f"{type(error).__name__}: {error}"
    if trouble:
        raise ConslawError(f"load: this is not what a conslaw {kind} says: {trouble}"[:300])
    return answer


def save(answer: Answer, file: str | Path) -> None:
    """Write an answer to a file of JSON, for :func:`load`: whole, or not at all.

    Raises
    ------
    ConslawError
        For what is no answer, or a file that cannot be written, or something else that stands there.
    """
    if not callable(getattr(answer, "to_json", None)):
        raise ConslawError(f"save({answer!r}): give an answer, such as conslaw.count(...) returned"[:300])
    place = written.check_place(file, "file=")
    written.write(answer.to_json(), place, "file=")


def _read(source: object) -> Any:
    """The JSON value; read again where it is given, so that it is plain data."""
    if not isinstance(source, str | Path | Mapping):
        raise ConslawError(
            f"load({str(source)[:60]!r}): give the path of a file, the text of JSON, or a mapping"
        )
    try:
        if isinstance(source, Mapping):
            text = json.dumps(source)
        elif isinstance(source, str) and source.lstrip()[:1] in ("{", "["):
            text = source
        else:
            path = Path(source)
            if path.exists() and not path.is_file():
                raise ConslawError(f"load({str(source)[:200]!r}): not a file")
            with path.open("rb") as file:
                text = file.read(LARGEST + 1).decode("utf-8")
        if len(text) > LARGEST:
            raise ConslawError(f"load: more than {LARGEST:,} bytes are no answer")
        return json.loads(text)
    except OSError as error:
        raise ConslawError(f"load({str(source)[:200]!r}): {error.strerror or error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ConslawError):
            raise
        raise ConslawError(f"load: not JSON: {error}"[:300]) from None


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = files("conslaw").joinpath("answer.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(schema))


def _problem(data: Any) -> str:
    """What in an answer is not as the schema says, in a line; empty if all is well."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(data))
    return "" if error is None else f"{error.json_path}: {error.message}"[:200]
