"""The exact polyhedral complex of a ReLU network, the polytope around a point, and patterns over data."""

from conslaw.regions.complexes import PolyhedralComplex, polyhedral_complex
from conslaw.regions.patterns import DataPatterns, data_patterns
from conslaw.regions.polytopes import Polytope, polytope

__all__ = [
    "DataPatterns",
    "PolyhedralComplex",
    "Polytope",
    "data_patterns",
    "polyhedral_complex",
    "polytope",
]
