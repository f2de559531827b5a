"""Sphinx configuration: ``sphinx-build -W docs build/docs``."""

import json
import re
import sys
from base64 import b64decode
from importlib.metadata import version as installed
from pathlib import Path

from docutils import nodes

sys.path.append(str(Path(__file__).parent))  # the pages of the atlas

project = "conslaw"
author = "The conslaw developers"
copyright = "2026, The conslaw developers"
release = version = installed("conslaw")

extensions = [
    *("myst_nb", "sphinxcontrib.bibtex", "sphinx.ext.mathjax"),
    *("atlas.pages", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"),
]
exclude_patterns = ["build"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
nb_merge_streams = True
nb_execution_mode = "off"  # CI executes the notebooks; the site shows the outputs that are stored
bibtex_bibfiles = ["refs.bib"]
bibtex_default_style = "alpha"
myst_mathjax_classes = "tex2jax_process|mathjax_process|math|text_html"  # outputs of notebooks too
mathjax3_config = {"tex": {"inlineMath": [["\\(", "\\)"], ["$", "$"]]}}
mathjax_path = "mathjax/tex-svg.js"  # shipped with the site, one file: nothing is asked from a network

html_theme = "furo"
html_title = "conslaw"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
templates_path = []

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
highlight_language = "none"

HERE = Path(__file__).parent
KINDS = {"image/png": "png", "image/svg+xml": "svg"}
(HERE / "notebooks").mkdir(exist_ok=True)
for notebook in (HERE.parent / "notebooks").glob("*.ipynb"):  # Sphinx reads its folder alone
    text = notebook.read_text(encoding="utf-8")
    (HERE / "notebooks" / notebook.name).write_text(text, encoding="utf-8")
    shown = [x.get("data", {}) for cell in json.loads(text)["cells"] for x in cell.get("outputs", [])]
    pictures = [(kind, x[kind]) for x in shown for kind in KINDS if kind in x]
    for number, (kind, picture) in enumerate(pictures, start=1):  # for the gallery
        file = HERE / "notebooks" / f"{notebook.stem.partition('_')[0]}_{number}.{KINDS[kind]}"
        file.write_bytes(b64decode(picture) if kind == "image/png" else "".join(picture).encode())

OUTSIDE = {  # names in signatures that other sites document; inventories of intersphinx would need a network
    "Any": "https://docs.python.org/3/library/typing.html#typing.Any",
    "Callable": "https://docs.python.org/3/library/collections.abc.html#collections.abc.Callable",
    "Fraction": "https://docs.python.org/3/library/fractions.html#fractions.Fraction",
    "Iterable": "https://docs.python.org/3/library/collections.abc.html#collections.abc.Iterable",
    "Mapping": "https://docs.python.org/3/library/collections.abc.html#collections.abc.Mapping",
    "Path": "https://docs.python.org/3/library/pathlib.html#pathlib.Path",
    "Sequence": "https://docs.python.org/3/library/collections.abc.html#collections.abc.Sequence",
    "bool": "https://docs.python.org/3/library/functions.html#bool",
    "dict": "https://docs.python.org/3/library/stdtypes.html#dict",
    "float": "https://docs.python.org/3/library/functions.html#float",
    "int": "https://docs.python.org/3/library/functions.html#int",
    "list": "https://docs.python.org/3/library/stdtypes.html#list",
    "str": "https://docs.python.org/3/library/stdtypes.html#str",
    "tuple": "https://docs.python.org/3/library/stdtypes.html#tuple",
    "Expr": "https://docs.sympy.org/latest/modules/core.html#sympy.core.expr.Expr",
    "Basic": "https://docs.sympy.org/latest/modules/core.html#sympy.core.basic.Basic",
    "NDArray": "https://numpy.org/doc/stable/reference/typing.html#numpy.typing.NDArray",
    "ndarray": "https://numpy.org/doc/stable/reference/generated/numpy.ndarray.html",
    "Tensor": "https://docs.pytorch.org/docs/stable/tensors.html#torch.Tensor",
    "Module": "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html",
    "DataFrame": "https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.html",
    "Figure": "https://matplotlib.org/stable/api/figure_api.html#matplotlib.figure.Figure",
}


def plainly(app, what, name, obj, options, signature, returns):
    """Signatures of dataclasses, whose defaults are no code, without paths of modules and factories."""
    short = re.sub(r"~?\b(?:[a-z_]+\.)+(?=\w)", "", signature or "").replace("<factory>", "...")
    return (short, returns) if what == "class" and signature else None


def outside(app, env, node, contnode):
    """A type of another library, linked to its documentation."""
    address = OUTSIDE.get(node.get("reftarget", "").rpartition(".")[2]) if node["refdomain"] == "py" else None
    return nodes.reference("", "", contnode, refuri=address, internal=False) if address else None


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


def without_last_blank(app, name, source):
    """Results of examples end with a blank line, for doctest; on the page it is left out."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


def setup(app):
    """Attributes are read before napoleon does."""
    app.set_html_assets_policy("always")  # MathJax where the only formulas are in outputs of notebooks
    app.connect("missing-reference", outside)
    app.connect("autodoc-process-signature", plainly)
    app.connect("source-read", without_last_blank)
    app.connect("autodoc-process-docstring", attributes, priority=400)
