"""The contract of answers: the same words, the same ways to JSON and back, for every question."""

import dataclasses
import json

import pytest

import conslaw
import conslaw.networks
from conslaw import regions, varieties
from conslaw.display import WIDTH, Answer

LINES = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]
G, M = conslaw.gradient_flow, conslaw.momentum_flow


def of_a_certificate():
    return conslaw.verify(conslaw.analyze(conslaw.linear([3, 2, 4])).certificate())


ANSWERS = {  # later rooms join by one line
    "count": lambda: conslaw.count(conslaw.linear([3, 2, 4])),
    "count of a split network": lambda: conslaw.count(conslaw.relu([784, 512, 10])),
    "count at a point": lambda: conslaw.count(conslaw.linear([1, 1]), point={"W1": [[0]]}),
    "analysis": lambda: conslaw.analyze(conslaw.linear([3, 2, 4])),
    "analysis in notation": lambda: conslaw.analyze(conslaw.linear([7, 7, 7])),
    "analysis of a million parameters": lambda: conslaw.analyze(conslaw.linear([700, 700, 700])),
    "analysis with a quotient and more laws": lambda: conslaw.analyze(
        conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="radial")
    ),
    "analysis with logarithms": lambda: conslaw.analyze(conslaw.nmf([1, 2, 1])),
    "analysis that leaves laws open": lambda: conslaw.analyze(conslaw.linear([1, 2, 1]), degree=1),
    "analysis in time": lambda: conslaw.analyze(M(conslaw.linear([2, 2, 1]), damping="1/2")),
    "dimension": lambda: varieties.dimension(conslaw.networks.polynomial([3, 3, 3])),
    "equations": lambda: varieties.equations(conslaw.networks.polynomial([2, 2, 4]), degree=3),
    "equations of a filling model": lambda: varieties.equations(
        conslaw.networks.polynomial([2, 3, 2]), degree=3
    ),
    "critical points": lambda: varieties.CriticalPoints("p", "data", 3, {1: 6}, 6, 1, 2, (7, 11)),
    "report": lambda: conslaw.report(conslaw.linear([3, 2, 4])),
    "report of what is too large": lambda: conslaw.report(conslaw.linear([90, 90, 90])),
    "report with readings": lambda: conslaw.report(conslaw.networks.attention(2, heads=1, tokens=2)),
    "verification": of_a_certificate,
    "a quantity that is conserved": lambda: conslaw.is_conserved(
        conslaw.linear([1, 1]), "W1[0,0]**0*W1[0,0]"
    ),
    "a quantity that moves": lambda: conslaw.is_conserved(conslaw.linear([2, 2, 2]), "W1[0,0]**2"),
    "polyhedral complex": lambda: regions.polyhedral_complex(LINES),
    "polyhedral complex of a fan": lambda: regions.polyhedral_complex([([[1, 2, 0]], None), ([[1]], None)]),
    "polytope": lambda: regions.polytope(LINES, [0.25, 0.25]),
    "data patterns": lambda: regions.data_patterns(LINES, [[0.25, 0.25], [0, 1], [2, -1]]),
    "topology": lambda: regions.topology(regions.polyhedral_complex(LINES), level=0.3, at_infinity="point"),
    "wall crossings": lambda: regions.wall_crossings([LINES, ("after", LINES)], [[0.25, 0.25], [0, 1]]),
    "film": lambda: regions.Film("a.gif", "1/2", (regions.Frame("step 0", 7, (1, 0, 0), True, 0.1, None),)),
    "polytope on a wall": lambda: regions.polytope(LINES, [0, 0.25]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_keeps_the_contract(name):
    answer = ANSWERS[name]()
    assert isinstance(answer.about, str)
    assert answer.about
    assert answer.proved
    assert not set(answer.proved) & set(answer.probable), "a number is proved or probable, not both"
    field = dataclasses.fields(answer)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(answer, field, None)
    assert max(map(len, repr(answer).splitlines())) <= WIDTH
    assert answer._repr_html_().startswith("<p>")
    data = json.loads(json.dumps(answer.to_json()))
    assert data["format"].startswith("conslaw ")
    assert isinstance(data["version"], int)
    back = conslaw.load(json.dumps(data))
    assert type(back) is type(answer)
    assert json.loads(json.dumps(back.to_json())) == data
    assert (str(back), repr(back), back.about) == (str(answer), repr(answer), answer.about)
    assert (dict(back.proved), dict(back.probable)) == (dict(answer.proved), dict(answer.probable))
    assert back._repr_html_().startswith("<p>")
    with pytest.raises(conslaw.ConslawError, match="not a conslaw"):
        type(answer).from_json({**data, "version": 0})
    members = [member for member in vars(Answer) if not member.startswith("__") and member[0] != "_"]
    assert all(hasattr(answer, member) for member in members)


def test_laws_that_are_read_back_are_the_same_expressions():
    for name in (
        "analysis",
        "analysis with logarithms",
        "analysis in time",
        "analysis with a quotient and more laws",
    ):
        answer = ANSWERS[name]()
        back = type(answer).from_json(json.loads(json.dumps(answer.to_json())))
        assert all((a - b).equals(0) for a, b in zip(back.laws, answer.laws, strict=True))
        with pytest.raises(conslaw.ConslawError, match="read back"):
            back.certificate()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "W1[0,",
        "2 3",
        "x y",
        "f(x)",
        "__import__('os').system('true')",
        "x**y",
        "x**(1/0)",
        "1/0",
        "x.y",
        "(" * 99,
        "x" * 2000,
        "9" * 2000,
        "x**9999999",
        "x[a]",
        "lambda: 0",
        "x;y",
        "\uff12",
        "+x",
        "exp x",
        "exp(99999999999*log(2))",
        "exp(99999999999*log(2*x) + t)",
        "2**60000*" * 5000 + "x",
        "x**",
        None,
        3,
    ],
)
def test_what_is_no_law_is_refused(text):
    with pytest.raises(conslaw.ConslawError, match="parse_law"):
        conslaw.parse_law(text)


def test_laws_are_parsed_as_sympy_would():
    from sympy.parsing.sympy_parser import parse_expr

    for text in (
        "-x + 2*y**3/4 - (x - y)**2",
        "exp(-2*t)*x**2 - t**(1/2)*log(x)",
        "(x*y)/(x + y)",
        "7",
        "-3/4",
    ):
        assert (conslaw.parse_law(text) - parse_expr(text)).equals(0)
