"""The exact polyhedral complex of a ReLU network, the polytope around a point, and patterns over data."""

from conslaw.regions.complexes import PolyhedralComplex, polyhedral_complex
from conslaw.regions.level_sets import LevelSet, Topology, topology
from conslaw.regions.patterns import DataPatterns, data_patterns
from conslaw.regions.polytopes import Polytope, polytope

__all__ = [
    "DataPatterns",
    "LevelSet",
    "PolyhedralComplex",
    "Polytope",
    "Topology",
    "data_patterns",
    "polyhedral_complex",
    "polytope",
    "topology",
]
