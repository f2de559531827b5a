"""Verification of certificates, by other code than that which made them.

Polynomials are dictionaries of exact coefficients here, vector fields are derived from the potential again, Lie brackets are taken
symbolically (mod the prime of the certificate) and evaluated at its point, ranks are FLINT's.  Only where symbolic brackets would
be too large are the jets of the search used, and the report says so.  Shared with the search are the definitions: what a family
is, what array code means, and which axes belong together; the last is checked on small networks that are written out.
Nothing in a certificate is executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from conslaw.certificates import FORMAT, claim, digests
from conslaw.errors import ConslawError
from conslaw.verification.algebra import Refuted
from conslaw.verification.bounds import lower_by_polynomials, upper_by_brackets
from conslaw.verification.networks import lower_by_families, upper_by_subnetworks
from conslaw.verification.subject import Subject

LARGEST_FILE = 2**28  # bytes


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what, whether it holds, and what was found."""

    what: str
    ok: bool
    found: str

    def __str__(self) -> str:
        return f"  {'ok  ' if self.ok else 'FAIL'} {self.what}: {self.found}"


@dataclass(frozen=True)
class Verification:
    """The result of :func:`verify`: ``ok`` if every check holds; printing it shows them all."""

    claim: str
    checks: Sequence[Check] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the certificate is valid."""
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        verdict = "verified" if self.ok else "NOT verified"
        return "\n".join([f"{verdict}: {self.claim}", *map(str, self.checks)])

    __repr__ = __str__


def verify(source: str | Path | Mapping[str, Any]) -> Verification:
    """Check a certificate: both bounds again, with other code than that which found them.

    Parameters
    ----------
    source : path of a JSON file, or the certificate itself

    Returns
    -------
    Verification
        One check a line; ``ok`` if all hold.

    Raises
    ------
    ConslawError
        If the source is no certificate at all (unreadable, not JSON, not of the format).
    """
    whole = _read(source)
    problem = _against_schema(whole, _schema(), "certificate")
    if problem:
        raise ConslawError(f"not a {FORMAT} of version 1: {problem}")
    checks = list[Check]()

    def check(what: str, run: Callable[[], str]) -> bool:
        try:
            checks.append(Check(what, True, run()))
        except Refuted as error:
            checks.append(Check(what, False, str(error)))
        except (
            ConslawError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AssertionError,
            RecursionError,
            MemoryError,
        ) as error:
            checks.append(Check(what, False, f"cannot be checked: {type(error).__name__}: {error}"[:300]))
        return checks[-1].ok

    subject = Subject(whole)
    check("unchanged", lambda: _unchanged(whole))
    if check("model", subject.build) and check("flow", subject.derive):
        upper = upper_by_subnetworks if whole["upper"]["method"] == "subnetworks" else upper_by_brackets
        lower = lower_by_families if whole["lower"]["method"] == "families" else lower_by_polynomials
        bounds: dict[str, int] = {}
        check("at most", lambda: upper(whole, subject, bounds))
        check("at least", lambda: lower(whole, subject, bounds))
        check("conclusion", lambda: _conclusion(whole, subject, bounds))
    return Verification(whole["claim"], checks)


# reading


def _read(source: str | Path | Mapping[str, Any]) -> Any:
    if not isinstance(source, str | Path | Mapping):
        raise ConslawError(f"verify({source!r}): give the path of a certificate, or the certificate")
    try:
        if isinstance(source, Mapping):
            return json.loads(json.dumps(source))
        path = Path(source)
        if path.exists() and not path.is_file():
            raise ConslawError(f"{source}: not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise ConslawError(f"{source}: larger than {LARGEST_FILE:,} bytes")
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repetition)
    except OSError as error:
        raise ConslawError(f"{source}: {error.strerror or error}") from None
    except (ValueError, RecursionError, TypeError) as error:
        raise ConslawError(f"{source if not isinstance(source, Mapping) else 'the certificate'}: not JSON: {error}"[:300]) from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return dict(pairs)


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("conslaw").joinpath("certificate.schema.json").read_text(encoding="utf-8"))
    return schema


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def _against_schema(value: Any, schema: Mapping[str, Any], where: str) -> str:
    """The first thing that is not as the schema says (the part of JSON Schema that ours uses); empty if all is well."""
    if "$ref" in schema:
        return _against_schema(value, _schema()["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if "anyOf" in schema:
        problems = [_against_schema(value, one, where) for one in schema["anyOf"]]
        return "" if "" in problems else problems[-1]
    shown = repr(value)[:60]
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        return f"{where} is {shown}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is {shown}, not one of {schema['enum']}"
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool))):
        return f"{where} is {shown}, not of type {wanted}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{where} is {shown}, less than {schema['minimum']}"
    if isinstance(value, dict):
        missing = [name for name in schema.get("required", []) if name not in value]
        if missing:
            return f"{where} has no {missing[0]!r}"
        for name, one in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                return f"{where} has an unknown {name!r}"
            problem = _against_schema(one, inner, f"{where}.{name}")
            if problem:
                return problem
    if isinstance(value, list) and "items" in schema:
        for i, one in enumerate(value):
            problem = _against_schema(one, schema["items"], f"{where}[{i}]")
            if problem:
                return problem
    return ""


def _unchanged(whole: Mapping[str, Any]) -> str:
    changed = [name for name, digest in digests(whole).items() if whole["digests"].get(name) != digest]
    if changed:
        raise Refuted(f"the section {', '.join(map(repr, changed))} was changed after the certificate was made")
    return "every section has the digest that it was made with"


def _conclusion(whole: Mapping[str, Any], subject: Subject, bounds: Mapping[str, int]) -> str:
    claimed = whole["bounds"]
    if claimed["state_dimension"] != subject.dimension:
        raise Refuted(f"the state has {subject.dimension} coordinates, not {claimed['state_dimension']}")
    for name, words in (("laws_at_most", "upper"), ("laws_found", "lower")):
        if name not in bounds:
            raise Refuted(f"the {words} bound does not hold")
        if bounds[name] != claimed[name]:
            raise Refuted(f"{name} is {bounds[name]}, not {claimed[name]}")
    complete = bounds["laws_at_most"] == bounds["laws_found"]
    if claimed["complete"] != complete:
        raise Refuted(f"complete is {complete}, not {claimed['complete']}")
    stated = claim(whole["model"], whole["flow"], claimed)
    if stated != whole["claim"]:
        raise Refuted(f"what is proved is {stated!r}, not what is claimed")
    return "both bounds meet" if complete else "the bounds do not meet, and the claim says so"
