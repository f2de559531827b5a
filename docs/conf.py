"""Sphinx configuration: ``sphinx-build -W docs build/docs``."""

import re
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
napoleon_attr_annotations = False
highlight_language = "none"
exclude_patterns = ["build"]


def attributes(app, what, name, obj, options, lines):
    """Attributes are written ``a, b : what they are``: an entry of each, with that as its description."""
    if what != "class" or "Attributes" not in lines:
        return
    start = lines.index("Attributes") + 2
    entries, end = [], len(lines)
    for number, line in enumerate(lines[start:], start):
        named = re.fullmatch(r"(\w+(?:, \w+)*) : (.*)", line)
        if named:
            entries.append((named[1].split(", "), [named[2]]))
        elif line.startswith("    ") and entries:
            entries[-1][1].append(line.strip())
        else:
            end = number
            break
    lines[start:end] = [
        text for names, words in entries for n in names for text in (n, *("    " + w for w in words))
    ]


def setup(app):
    """Run before napoleon does."""
    app.connect("autodoc-process-docstring", attributes, priority=400)
