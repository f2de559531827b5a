"""The families of networks that conslaw knows by name."""

from conslaw.models.networks import FAMILIES, icnn, linear, monomial, nmf, pca, polynomial, relu

__all__ = ["FAMILIES", "icnn", "linear", "monomial", "nmf", "pca", "polynomial", "relu"]
