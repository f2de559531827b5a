"""The exact polyhedral complex of a ReLU network, and the polytope around a point."""

from conslaw.regions.complexes import PolyhedralComplex, polyhedral_complex
from conslaw.regions.polytopes import Polytope, polytope

__all__ = ["PolyhedralComplex", "Polytope", "polyhedral_complex", "polytope"]
