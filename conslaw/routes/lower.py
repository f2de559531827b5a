"""Routes to laws: each proves that there are at least so many.

A function ``work_of_...`` estimates a route in units, None if it would add nothing; the function of the
route's name goes it, and returns what is known then and the units of that part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.finite_field import RowSpace
from conslaw.laws.ansatz import PolynomialLaws, polynomial_laws, with_more
from conslaw.laws.exact_fields import has_logarithms, has_room, random_sample
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.matrix_ansatz import (
    MOST_EXPANDED,
    MatrixLaws,
    array_by_array,
    columns_directly,
    combinations_of_windows,
    directly,
    entries_in_blocks,
    in_order,
    matrix_combinations,
)
from conslaw.laws.matrix_notation import MOST_TERMS, family
from conslaw.laws.plain_rank import PER_PRODUCT
from conslaw.laws.rational import RationalLaws
from conslaw.laws.splitting import Split
from conslaw.routes.known import LEAST, Known, work_of_ansatz

Part = tuple[Known, float]  # what is known after a part of a route, and its units of work

# units, measured: of windows, by nodes of their code, by terms of a few neurons; of quotients by monomials
# cubed; of gradients by entries
A_WINDOW, A_NODE, A_TERM, A_QUOTIENT, AN_ENTRY = 0.1, 1e-3, 1e-5, 1.2e-6, 1.5e-7


def work_of_windows(known: Known) -> float | None:
    """Combinations of the arrays of each window."""
    question = known.question
    if not (question.by_arrays and question.has_windows) or known.combinations is not None:
        return None
    assert question.flow.model is not None
    return A_WINDOW + A_NODE * len(topological_order([question.flow.model.potential]))


def windows(known: Known) -> Part:
    """Find the conserved combinations; how many are independent, gradients say."""
    work = work_of_windows(known) or 0.0
    flow = known.question.flow
    found = combinations_of_windows(flow)
    return replace(known, combinations=found, laws=MatrixLaws.none(flow)), work


def work_of_arrays(known: Known) -> float | None:
    """Combinations of all arrays at once: what lies across windows, if these leave something open."""
    question = known.question
    if known.whole or not question.by_arrays:
        return None
    to_be_bounded = known.bound is None and question.split is not False and known.colourings != ()
    if question.has_windows and (known.combinations is None or to_be_bounded):
        return None
    if question.has_windows and question.terms_of_few > MOST_EXPANDED:
        return None
    return 3 * A_WINDOW + A_TERM * question.terms_of_few


def arrays(known: Known) -> Part:
    """Find them; if there are more than in windows, gradients are counted again."""
    work, flow, old = work_of_arrays(known) or 0.0, known.question.flow, known.combinations or []
    every = in_order(dict.fromkeys([*old, *matrix_combinations(IndexClasses.of(flow))]))
    known = replace(known, whole=True, laws=known.laws or MatrixLaws.none(flow))
    if len(every) > len(old):
        known = replace(known, combinations=every, counted=False, in_blocks=False, colourings=None)
    return replace(known, combinations=known.combinations or []), work


def work_of_blocks(known: Known) -> float | None:
    """The ranks of the gradients of the combinations of the same arrays, in those that none before has."""
    if known.in_blocks or not known.combinations:
        return None
    entries = entries_in_blocks(known.question.flow, known.combinations)
    return A_WINDOW + AN_ENTRY * entries if entries else None


def blocks(known: Known) -> Part:
    """Count them; if no array has several, that is all."""
    work, question, combinations = work_of_blocks(known) or 0.0, known.question, known.combinations or []
    added, exact = array_by_array(question.flow, combinations, question.seed)
    known = replace(known, in_blocks=True, counted=known.counted or exact)
    return with_families(known, added, None), work


def work_of_gradients(known: Known) -> float | None:
    """The rank of the gradients of all combinations, in one matrix."""
    if known.counted or not known.combinations:
        return None
    n, columns = known.question.flow.dimension, columns_directly(known.question.flow, known.combinations)
    return PER_PRODUCT * float(columns) ** 3 + AN_ENTRY * n * columns


def gradients(known: Known) -> Part:
    """Count them."""
    work, combinations = work_of_gradients(known) or 0.0, known.combinations or []
    added = directly(known.question.flow, combinations, known.question.seed)
    return with_families(replace(known, counted=True), added, None), work


def with_families(known: Known, added: Sequence[int], where: Split | None) -> Known:
    """The same with what each combination adds to the rank of gradients, in a split or in one matrix, if that
    proves more.
    """
    if sum(added) <= known.found or not known.combinations:
        return known
    flow, pairs = known.question.flow, zip(known.combinations, added, strict=True)
    laws = MatrixLaws([family(flow, c, n) for c, n in pairs if n], sum(added), flow)
    return replace(known, laws=laws, found=sum(added), lower=where)


def work_of_linear(known: Known) -> float | None:
    """Linear laws beside the combinations: of data that are given and do not span all inputs."""
    question, laws = known.question, known.laws
    asked = isinstance(question.degree, int) and question.degree > 1 and not question.homogeneous
    given = question.given.model is not None and not question.given.model.arguments
    if not asked or not given or known.linear or not isinstance(laws, MatrixLaws) or laws.terms > MOST_TERMS:
        return None
    unknowns = question.flow.dimension + 1
    return None if unknowns > question.max_unknowns else work_of_ansatz(question.flow, unknowns)


def linear(known: Known) -> Part:
    """Find them.  They count only if nothing is left open then: others of the degree were not looked for."""
    work, question = work_of_linear(known) or 0.0, known.question
    found = polynomial_laws(question.flow, degree=1, seed=question.seed, max_unknowns=question.max_unknowns)
    known = replace(known, linear=True)
    if len(found) and isinstance(known.laws, MatrixLaws):
        laws = with_more(found, known.laws.polynomials, question.flow, question.seed)
        if laws.independent == known.at_most:
            known = replace(known, laws=laws, found=laws.independent, lower=None)
    return known, work


def work_of_monomials(known: Known) -> float | None:
    """All polynomials up to the degree."""
    question = known.question
    unknowns, work = question.monomials
    if question.ansatz == "matrix" or unknowns > question.max_unknowns or known.polynomials:
        return None
    if question.ansatz == "monomials" and not has_room(question.flow):
        return LEAST  # it is refused at once, and says why
    return work


def monomials(known: Known) -> Part:
    """Find them; they are all there are up to that degree."""
    work, laws = known.question.monomials[1], known.question.polynomials()
    known = replace(known, polynomials=True)
    if known.laws is None or laws.independent >= known.found:
        known = replace(known, laws=laws, found=laws.independent, lower=None)
    return known, work


def work_of_quotients(known: Known) -> float | None:
    """Quotients of polynomials of the next degree, beside the polynomials."""
    question, degree = known.question, known.searched + 1
    if not isinstance(known.laws, PolynomialLaws) or question.homogeneous or question.search is None:
        return None
    if not isinstance(question.degree, int) or degree > question.degree:
        return None
    if max(question.search.degrees(degree), default=0) < degree:
        return None
    return A_WINDOW * (degree == 1) + A_QUOTIENT * question.search.work(degree)


def quotients(known: Known) -> Part:
    """Find those that are independent of all laws before."""
    work, question, laws = work_of_quotients(known) or 0.0, known.question, known.laws
    assert isinstance(laws, PolynomialLaws)
    assert question.search is not None
    degree, old = known.searched + 1, known.quotients or RationalLaws.none(question.flow)
    sample = random_sample(question.flow.dimension, question.seed)
    space = RowSpace.zero(question.flow.dimension, sample.prime).extend(laws.gradients(sample))
    both = space.extend(old.gradients(sample))
    more = question.search.quotients(degree, old, both, known.at_most, question.seed)
    found = max(known.found, space.rank + len(more))
    return replace(known, quotients=more, searched=degree, found=found), work


def work_of_logarithms(known: Known) -> float | None:
    """Polynomials in the state and in logarithms of its entries."""
    if known.logs or not isinstance(known.laws, PolynomialLaws):
        return None
    unknowns, work = known.question.logarithms
    later = work_of_quotients(known) or 0.0  # quotients are simpler laws, so they come first
    return work + later if unknowns <= known.question.max_unknowns else None


def logarithms(known: Known) -> Part:
    """Find them, if the velocity of an entry is divisible by it; quotients that they imply are left out."""
    question, work = known.question, known.question.logarithms[1]
    if not has_logarithms(question.flow):
        return replace(known, logs=True), work
    laws, old = question.polynomials(logs=True), known.quotients
    found = laws.independent
    if old is not None:
        sample = random_sample(question.flow.dimension, question.seed)
        space = RowSpace.zero(question.flow.dimension, sample.prime).extend(laws.gradients(sample))
        old = old.select(space.independent(old.gradients(sample)))
        found = max(found, space.rank + len(old))
    return replace(known, logs=True, laws=laws, found=found, quotients=old), work
