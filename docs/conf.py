"""Sphinx configuration: ``sphinx-build -W docs build/docs``."""

from importlib.metadata import version as installed

project = "conslaw"
author = "The conslaw developers"
copyright = "2026, The conslaw developers"
release = version = installed("conslaw")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "amsmath"]
html_theme = "furo"
html_title = "conslaw"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
exclude_patterns = ["build"]
