"""conslaw: what does training this network conserve?  Exact, proved conservation laws of gradient flows."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.1"

from conslaw.analysis import Analysis, Count, analyze, count
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow, gradient_flow, momentum_flow
from conslaw.flows.vector_fields import flow_from_fields, from_sympy
from conslaw.laws.ansatz import PolynomialLaws, polynomial_laws
from conslaw.laws.lie import LieRanks, lie_ranks
from conslaw.laws.matrix_notation import LawFamily
from conslaw.laws.rational import RationalLaws, rational_laws
from conslaw.models.networks import icnn, linear, monomial, nmf, pca, relu
from conslaw.models.potential import Model, model

if TYPE_CHECKING:
    from conslaw.certificates.verification import Verification, verify

__all__ = [
    "Analysis",
    "ConslawError",
    "Count",
    "Flow",
    "LawFamily",
    "LieRanks",
    "Model",
    "PolynomialLaws",
    "RationalLaws",
    "Verification",
    "analyze",
    "count",
    "flow_from_fields",
    "from_sympy",
    "gradient_flow",
    "icnn",
    "lie_ranks",
    "linear",
    "model",
    "momentum_flow",
    "monomial",
    "nmf",
    "pca",
    "polynomial_laws",
    "rational_laws",
    "relu",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The verifier brings FLINT with it, so it is imported when it is asked for."""
    if name not in ("Verification", "verify"):
        raise AttributeError(f"module 'conslaw' has no attribute {name!r}")
    from conslaw.certificates import verification

    return getattr(verification, name)
