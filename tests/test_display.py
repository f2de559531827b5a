"""How answers are shown: in any encoding, at any width, as HTML and LaTeX, and each thing once."""

import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_answers import ANSWERS

import conslaw
from conslaw import display
from conslaw.command_line import COMMANDS, main
from conslaw.command_options import EXAMPLES, parser
from conslaw.flows.coordinates import Coordinate, to_sympy, write, write_law
from conslaw.laws.law_latex import law_latex
from conslaw.laws.matrix_notation import LawFamily

G, M = conslaw.gradient_flow, conslaw.momentum_flow

# signs

ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_output_that_cannot_show_a_sign_gets_it_in_ascii(encoding):
    """In scripts and on the command line, in the words of a C locale."""
    code = (
        "import conslaw, sys; from conslaw.command_line import main\n"
        "print(a := conslaw.analyze(conslaw.momentum_flow(conslaw.linear([2, 2, 1]))))\n"
        "print(a.law_families, repr(a))\n"
        "main(['analyze', 'relu', '2-3-1']); main(['analyze', 'no such ᵀ'])"
    )
    environment = {**os.environ, "LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    signs = "W1 Ẇ1ᵀ − Ẇ1 W1ᵀ" if encoding == "utf-8" else "W1 W1_dot^T - W1_dot W1^T"
    assert out.count(signs) == 3
    assert ("‖W1[k,:]‖² − " if encoding == "utf-8" else "||W1[k,:]||") in out
    assert ("no such ᵀ" if encoding == "utf-8" else "no such ^T") in err
    assert "?" not in out + err


@given(st.text(st.one_of(st.characters(), st.sampled_from("ᵀ−‖²Σ₍₎…×ẆθΩq\u0307_1"))))
def test_whatever_is_written_in_ascii_is(text):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    found = display.in_signs_of(stream, text)
    assert found.isascii()
    assert found.count("?") == text.count("?")
    assert display.in_signs_of(stream, found) == found
    if text.isascii():
        assert found == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W1 W1ᵀ − W2ᵀ W2   symmetric 2×2", "W1 W1^T - W2^T W2   symmetric 2x2"),
        ("‖U[:,k]‖² − ΣV[k]   k = 0…4", "||U[:,k]||^2 - sum V[k]   k = 0...4"),
        ("Ẇ_long2ᵀ q\u03071 K₍0₎ θ Ωb é", "W_long2_dot^T q1_dot K_(0) theta Omegab e"),
    ],
)
def test_the_ascii_form_is_readable(text, expected):
    assert display.in_signs_of(io.TextIOWrapper(io.BytesIO(), encoding="ascii"), text) == expected


def test_every_sign_that_conslaw_writes_has_an_ascii_form():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    files = [path.read_text(encoding="utf-8") for path in Path(conslaw.__file__).parent.rglob("*.py")]
    strings = [x for text in files if not text.isascii() for x in re.findall(r'"[^"\n]*"', text)]
    signs = {sign for x in strings for sign in x if not sign.isascii()}
    assert {"ᵀ", "−", "‖", "×"} <= signs
    assert {sign for sign in signs if "\\" in display.in_signs_of(stream, sign)} == set()


# lines


@given(st.integers(24, 160), st.sampled_from([[1, 3, 1], [2, 2, 2], [3, 1, 2, 1]]))
@settings(max_examples=20, deadline=None)
def test_lines_are_broken_at_blanks_and_nothing_is_lost(width, widths):
    summary = conslaw.analyze(conslaw.linear(widths)).with_laws()
    whole, broken = display.text(summary), display.text(summary, width)
    assert broken.split() == whole.split()
    for line in broken.splitlines():
        assert len(line) <= width or re.fullmatch(r" *\S+|.*\S {3}.*", line)  # one word, or columns


def test_a_pipe_gets_a_line_for_each_thing():
    command = [sys.executable, "-m", "conslaw", "analyze", "linear", "3-2-4", "--laws"]
    environment = {**os.environ, "COLUMNS": "60", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True, encoding="utf-8")
    laws = conslaw.analyze(conslaw.linear([3, 2, 4])).polynomial_laws.strings()
    assert done.stdout.endswith("".join(f"  {i}. {law}\n" for i, law in enumerate(laws, start=1)))


# each thing once

TERMS = st.dictionaries(
    st.lists(st.integers(1, 3), max_size=4).map(lambda x: tuple(sorted(x))),
    st.integers(-9, 9).filter(bool),
    min_size=1,
    max_size=4,
).map(lambda terms: list(terms.items()))
COORDINATES = [
    Coordinate("time", kind="exp", rate=sympy.Rational(1, 2)),
    Coordinate("W", (0, 1)),
    Coordinate("x"),
]


@given(TERMS)
def test_a_common_factor_stands_once_and_the_law_is_the_same(law):
    text = write_law(law, COORDINATES)
    assert sympy.expand(conslaw.parse_law(text) - conslaw.parse_law(write(law, COORDINATES))) == 0
    assert conslaw.parse_law(text) == to_sympy(law, COORDINATES)
    common = set.intersection(*(set(monomial) for monomial, _ in law)) if len(law) > 1 else set()
    assert ("*(" in text) == bool(common)


@given(TERMS)
def test_laws_that_are_read_back_have_the_latex_that_they_had(law):
    ours = write_law(law, COORDINATES, latex=True)
    assert re.sub(r"(\d) t", r"\1t", law_latex(write_law(law, COORDINATES))) == ours


def test_where_families_say_it_all_polynomials_are_asked_for(capsys):
    analysis = conslaw.analyze(conslaw.linear([3, 2, 4]))
    law = analysis.polynomial_laws.strings()[0]
    assert law not in str(analysis)
    assert "as 3 polynomials: analysis.laws, or --laws" in str(analysis)
    assert main(["analyze", "linear", "3-2-4", "--laws"]) == 0
    assert law in capsys.readouterr().out
    left = conslaw.analyze(conslaw.linear([1, 3, 1]))  # what is in no family is listed
    assert [law in str(left) for law in left.polynomial_laws.strings()].count(True) == 3


@given(st.lists(st.integers(1, 3), min_size=3, max_size=3))
@settings(max_examples=8, deadline=None)
def test_laws_that_are_listed_and_those_that_are_independent(widths):
    """Where the numbers differ the answer says why."""
    analysis = conslaw.analyze(conslaw.linear(widths))
    assert len(analysis.laws) == analysis.listed >= analysis.laws_found
    differ = analysis.listed > analysis.laws_found
    assert (f"of {analysis.listed:,} listed" in str(analysis)) == differ
    assert all(1 <= family.laws <= family.entries for family in analysis.law_families)


@pytest.mark.parametrize("ansatz", ["monomials", "matrix"])
def test_entries_that_follow_from_others_are_not_counted_again(ansatz):
    """A Aᵀ − B Bᵀ and Aᵀ A − Bᵀ B have one trace."""
    shapes = {"A": (3, 3), "B": (3, 3)}
    inner = conslaw.model(lambda p, c: c.s * (p.A * p.B).sum(), parameters=shapes, data={"s": ()})
    analysis = conslaw.analyze(inner, ansatz=ansatz)
    assert str(analysis.law_families[1]) == "Aᵀ A − Bᵀ B   symmetric 3×3, 5 laws of 6 entries"
    assert "are not counted again" in str(analysis)
    assert analysis.listed == len(analysis.laws) > analysis.laws_found
    back = conslaw.load(json.loads(json.dumps(analysis.to_json())))
    assert str(back) == str(analysis)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        (("symmetric", 12, 78, 1), "symmetric 12×12, 78 laws"),
        (("symmetric", 12, 63, 1), "symmetric 12×12, 63 laws of 78 entries"),
        (("skew", 3, 3, 1), "skew 3×3, 3 laws"),
        (("skew", 3, 1, 1), "skew 3×3, 1 law of 3 entries"),
        (("symmetric", 2, 8, 4), "k = 0…3, symmetric 2×2, 2 laws each of 3"),
        (("symmetric", 2, 7, 4), "k = 0…3, symmetric 2×2, 7 laws of 12 entries"),
        (("vector", 1234, 1233, 1), "k = 0…1,233, 1,233 laws of 1,234 entries"),
        (("scalar", 1, 1, 1), "1 law"),
    ],
)
def test_how_many_of_the_entries_of_a_family_are_laws(family, said):
    assert str(LawFamily("A", "A", *family)) == f"A   {said}"


def test_numbers_have_separators_where_they_are_read_and_none_in_json():
    large = conslaw.analyze(conslaw.linear([700, 700, 700]))
    for shown in (str(large), large._repr_html_(), large._repr_latex_()):
        assert {"980,000", "490,000; 734,650", "245,350"} <= set(
            re.findall(r"[0-9,]{5,}(?:; [0-9,]+)?", shown)
        )
        assert not re.search(r"\b[0-9]{5,}\b", shown)
    assert json.loads(json.dumps(large.to_json()))["parameters"] == 980_000


# HTML and LaTeX

KNOWN = {  # to KaTeX and MathJax
    *("begin", "cdot", "dot", "end", "frac", "log", "odot", "quad", "sum", "text", "textasciicircum"),
    *("textasciitilde", "textbackslash", "textbf", "textgreater", "textless", "textstyle", "texttt", "top"),
}
NAME = "<b>\\mine</b> $a_b^c %&~{#}"
MINE = conslaw.model(
    lambda p, c: p.W12[0, 1] * p.scale_1 + 0 * p.W12.sum(),
    parameters={"W12": (1, 2), "scale_1": ()},
    name=NAME,
)
SHOWN = {
    **{name: ANSWERS[name] for name in ANSWERS if "million" not in name},
    "model": lambda: MINE,
    "flow": lambda: M(MINE, damping="1/2", weight_decay=1),
    "analysis of an odd name": lambda: conslaw.analyze(MINE),
    "laws": lambda: conslaw.polynomial_laws(M(conslaw.linear([1, 2, 1]), damping="3/t")),
    "quotients": lambda: conslaw.rational_laws(
        G(conslaw.from_sympy(sympy.sympify("x**2+y**2"), sympy.symbols("x y")))
    ),
    "Lie ranks": lambda: conslaw.lie_ranks(conslaw.linear([2, 2])),
    "split": lambda: conslaw.count(conslaw.relu([784, 512, 10])).split,
    "laws of the matrix ansatz": lambda: (
        conslaw.analyze(conslaw.relu([9, 9]), ansatz="matrix").polynomial_laws
    ),
}


class Tags(HTMLParser):
    """The tags that are open, and all text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def check_formula(formula):
    """Known commands, brackets and environments in pairs, and no sign that ends the formula."""
    assert set(re.findall(r"\\([A-Za-z]+)", formula)) <= KNOWN
    bare = re.sub(r"\\[^A-Za-z]", "", formula)
    assert not set("$%#~") & set(bare)
    assert "&" not in bare or r"\begin{array}" in bare
    depth = 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert bare.count(r"\begin{array}") == bare.count(r"\end{array}")
    for words in re.findall(r"\\text(?:bf)?\{([^{}]*)\}", bare):
        assert not set("^_") & set(words)


@pytest.mark.parametrize("name", SHOWN)
def test_what_notebooks_show_is_html_and_latex(name):
    thing = SHOWN[name]()
    for formula in thing._repr_latex_().split("\n\n"):
        assert (formula[0], formula[-1]) == ("$", "$")
        check_formula(formula[1:-1])
    tags = Tags()
    tags.feed(thing._repr_html_())
    tags.close()
    assert tags.open == []
    for formula in re.findall(r"<li>\$(.*?)\$</li>", thing._repr_html_()):
        check_formula(formula)
    if name in ("model", "flow", "analysis of an odd name"):
        assert NAME in tags.text


def test_a_family_is_a_formula():
    [family] = conslaw.analyze(M(conslaw.linear([1, 2, 1]))).law_families
    assert family._repr_latex_().startswith(r"${W_{1}} \dot{{W_{1}}}^\top - ")
    check_formula(family._repr_latex_()[1:-1])


# the command line


def test_latex_and_reasons_on_the_command_line(capsys):
    assert main(["analyze", "relu", "2-3-1", "--latex", "--explain"]) == 0
    out = capsys.readouterr().out
    formulas, comment = out.split("\n% route")
    for formula in formulas.strip().split("\n\n"):
        check_formula(formula[1:-1])
    assert all(line.startswith("%") for line in comment.strip().splitlines()[1:])
    assert main(["analyze", "relu", "2-3-1", "--latex", "--json"]) == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_examples_are_commands_and_every_option_has_a_line_in_the_docs(request):
    page = (request.config.rootpath / "docs/command_line.md").read_text(encoding="utf-8")
    whole = parser(COMMANDS)
    written = re.findall(r"^conslaw (.*?)(?: {2,}#.*)?$", page, re.MULTILINE)
    for line in [*written, *(x for lines in EXAMPLES.values() for x in lines if "--help" not in x)]:
        assert whole.parse_args(re.sub('"', "", line).split()).run
    [commands] = [x.choices for x in whole._actions if x.dest == "command"]
    for name in ("analyze", "count", "dimension", "verify"):
        assert f"conslaw {name} " in page
        assert f"conslaw {EXAMPLES[name][0]}" in commands[name].format_help()
        options = [x.option_strings for x in commands[name]._actions if x.option_strings]
        assert {x[0] for x in options if f"`{x[0]}" not in page} == {"-h"}


@pytest.mark.parametrize(("bound", "said"), [(1.4e-20, "2e-20"), (1e-20, "1e-20"), (9.1e-7, "1e-06")])
def test_a_bound_of_an_error_probability_is_rounded_up(bound, said):
    assert display.unless(bound) == f"except with probability < {said}"
