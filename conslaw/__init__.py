"""conslaw: what does training this network conserve?  Exact, proved conservation laws of gradient flows."""

from conslaw.analysis import Analysis, Count, analyze, count
from conslaw.ansatz import PolynomialLaws, polynomial_laws
from conslaw.errors import ConslawError
from conslaw.flows import Flow, gradient_flow
from conslaw.lie import LieRanks, lie_ranks
from conslaw.models import Model, model
from conslaw.networks import linear, relu

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "ConslawError",
    "Count",
    "Flow",
    "LieRanks",
    "Model",
    "PolynomialLaws",
    "analyze",
    "count",
    "gradient_flow",
    "lie_ranks",
    "linear",
    "model",
    "polynomial_laws",
    "relu",
]
