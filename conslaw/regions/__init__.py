"""The exact polyhedral complex of a ReLU network, the polytope around a point, and patterns over data."""

from conslaw.regions.complexes import PolyhedralComplex, polyhedral_complex
from conslaw.regions.crossings import Crossings, Step, wall_crossings
from conslaw.regions.films import Film, Frame, film
from conslaw.regions.level_sets import Component, LevelSet, Topology, topology
from conslaw.regions.patterns import DataPatterns, data_patterns
from conslaw.regions.polytopes import Polytope, polytope

__all__ = [
    "Component",
    "Crossings",
    "DataPatterns",
    "Film",
    "Frame",
    "LevelSet",
    "PolyhedralComplex",
    "Polytope",
    "Step",
    "Topology",
    "data_patterns",
    "film",
    "polyhedral_complex",
    "polytope",
    "topology",
    "wall_crossings",
]
