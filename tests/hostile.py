"""Calls of public functions with hostile arguments, as text; run alone it is the worker that makes them.

A line on standard input is a call; the answer is a line: "ok", or what was raised.
"""

import sys
from importlib.util import find_spec

SMALL = ["net", "flow", "conslaw.relu([1, 2, 1])", "own", "momentum", "decayed"]
ANY = r"""
None  True  False  0  1  -1  2  3  10**30  -(10**9)  0.5  0.1  -0.1  1e300  float('nan')  float('inf')
1j  ''  'x'  '3'  '1/2'  '1/0'  '1_0'  '\uff13'  b'3'  []  ()  {}  [1]  [2, 1]  [2, 1, 2]  (0, 1)
[-1, 2]  [1.5, 2]  [True, 2]  [[1]]  [10**12, 2, 3]  [1] * 50  '2-1-2'  range(1, 4)  {1, 2}  [None]
['a']  [[1, 2], [3]]  np.array([2, 1])  np.array([[1, 2]])  np.int64(2)  np.float32(0.1)  np.array([])
np.array(3)  np.eye(2)  np.eye(4)  np.zeros((2, 2))  np.full((2, 1), 0.1)  np.array(['a'])
np.bool_(True)  Fraction(1, 3)  Fraction(-1, 3)  Fraction(10**50, 3)  Decimal('0.1')  Decimal('NaN')
sympy.Rational(1, 2)  sympy.Integer(2)  x  x + y  sympy.pi  sympy.Matrix([[x, y]])  x > y  x**y
sympy.sin(x)  (x + y)**3  sum(many)**12  x**(10**9)  sympy.Poly(x, x)  sympy.oo  object()  int  len
lambda: 1  lambda *a: 1  lambda *a: None  lambda z: z  lambda z: {}  lambda z: {'W1': 1 / z.W1}
lambda z: {'W1': z.W1 - z.W1}  lambda z: {'Q': 1}  lambda z: 1 / 0  {'W1': 1}  {'W1': np.eye(2)}
{'W1': 'mirror', 'W2': -1}  {'W1': 0.1}  {1: 2}  {'W1': None}  {'W1': [[1, 2], [3]]}  {'W1': ['a', 'b']}
{'W1': [1, None]}  {'W1': 2, 'W2': 1}  {('W1', 'W2'): 1}  {'W1': [[1, 2]], 'W2': [[0]]}
{'W1': [[0.1, Fraction(1, 3)]], 'W2': [[0.5]]}  {'W1': (2, 3)}  {'W1': [[float('nan'), 1]], 'W2': [[1]]}
{'x': (1,)}  {'x': (10**11,)}  {'x': 3}  {'class': (1,)}  'mirror'  'z**2'  'z**-1'  'z**1000'
'nesterov'  '2/t'  '0/t'  '1001/t'  'matrix'  net  flow  own  conslaw.Flow('x', None, {}, {}, ())
conslaw.Flow('x', None, {'a': (2,)}, {}, ())  conslaw.Flow('x', None, {'a': 2}, {}, ({'a': 3},))
conslaw.Flow(1, 2, 3, 4, 5)  conslaw  certificate  shown  lines  [([[1.0]], None)]  [(None, None)]
[([[1e300]], [-1e-300])] * 3  [([[10**30], [Fraction(1, 3)]], [0, 0]), ([[1, 1]], [1])]  [([[1, 2]],)]
[([[1]], [0], -1)] * 2  [([['a']], [0])]  [([[0, 0]], [0]), ([[1]], [0])]  10**400
np.ones((2, 2)) * 1j  np.float16([[1, 2]])  [0.5, 0.25]
([-1, -1], [1, 1])  {'origin': [0, 0], 'directions': [[1], [2]]}  [[0.5, 0.25], [-1, 3]]  layer  mlp  iter([])
{'W1': [[1, 2], [0, -1]], 'W2': [[1, 1]]}
"""
ANY = [value for line in ANY.strip().splitlines() for value in line.split("  ")]
ENDS = {
    "seed": ["0", "5"],
    "prime": ["None", "2147483647"],
    "point": ["None", "point"],
    "split": ["None", "True"],
}
RUN = {"seed": ["0", "7"], "workers": ["1", "2"]}
ANSATZ = {"degree": ["1", "2", "{'W1': 2}"], "time_degree": ["None", "1"], "homogeneous": ["False", "True"]}
FLOW = {"metric": ["None", "'mirror'", "2", "{'W1': 'z**2'}"], "weight_decay": ["0", "0.01", "'1/3'"]}
GIVEN = {"data": ["None", "{'x': [[1, 2], [0, 1]]}"], "patterns": ["None"], "loss": ["None"]}
SPACE = {
    "degree": ["2", "3"],
    "segments": ["2", "4"],
    "continuous": ["True", "False"],
    "basis": ["'lagrange'", "'legendre'", "'fourier'"],
    "frequencies": ["None", "2"],
}
LAYER = {
    **SPACE,
    "combine": ["'sum'", "'product'"],
    "alpha": ["1", "0.5"],
    "period": ["None", "2"],
    "domain": ["(-1, 1)", "(0, 2.5)"],
    "rescale": ["False", "True"],
    "bias": ["False", "True"],
}
CONVOLUTION = {name: ["1", "2"] for name in ("stride", "padding", "dilation", "output_padding")}
SELECTED = {
    "n": ["3"],
    "segments": ["2"],
    "rescale_output": ["False"],
    "length": ["2.5"],
    "periodicity": ["None"],
}
ANSWERS = [
    *("answers.Analysis", "answers.Count", "certificates.verification.Verification"),
    *("varieties.CriticalPoints", "varieties.Dimension", "laws.own_quantity.Conserved"),
    *("varieties.Equations", "regions.DataPatterns", "regions.PolyhedralComplex", "regions.Polytope"),
    *("regions.Crossings", "regions.Film", "regions.Topology", "reporting.Report"),
]
CALLS = {  # name: positional parameters, named parameters; each with good values
    "conslaw.count": ([SMALL], {**ENDS, "workers": ["1"]}),
    "conslaw.report": ([["net", "own"]], {"seconds": ["1", "0.5"], "seed": ["0"]}),
    "conslaw.lie_ranks": ([SMALL], {name: ENDS[name] for name in ("seed", "prime", "point")}),
    "conslaw.analyze": ([SMALL], {**ANSATZ, **RUN, "split": ["None"], "ansatz": ["None", "'matrix'"]}),
    "conslaw.polynomial_laws": ([SMALL], {**ANSATZ, "logs": ["False", "True"], "max_unknowns": ["1000"]}),
    "conslaw.rational_laws": ([SMALL], {"degree": ["1", "2"], "seed": ["0"]}),
    "conslaw.gradient_flow": ([["net", "own"]], {**FLOW, **GIVEN}),
    "conslaw.momentum_flow": (
        [["net", "own"]],
        {**FLOW, **GIVEN, "damping": ["0", "0.1", "'nesterov'", "'1/2'"]},
    ),
    "conslaw.simulate": (
        [["net", "flow"]],
        {
            "data": ["{'x': [[1, 2], [0.5, 1]]}"],
            "targets": ["[[1], [2]]"],
            "loss": ["'squared'", "lambda a, b: a"],
            "start": ["None", "{'W1': [[1, 2]], 'W2': [[0.5]]}"],
            "method": ["'gd'", "'flow'", "'nesterov'"],
            "step": ["0.1", "'1/8'"],
            "steps": ["3"],
            "momentum": ["None"],
            "weight_decay": ["None", "0.1"],
            "metric": ["None", "'euclidean'"],
            "every": ["1", "2"],
            "entries": ["True"],
            "states": ["False", "True"],
            "precision": ["None", "'exact'"],
            "seed": ["0"],
        },
    ),
    "conslaw.linear": ([["[2, 1]", "(1, 2, 1)"]], {"bias": ["False", "True"]}),
    "conslaw.relu": ([["[2, 1]", "(1, 2, 1)"]], {"bias": ["False", "True"]}),
    "conslaw.networks.polynomial": ([["[2, 1, 1]"], ["2", "[3]"]], {"bias": ["False", "True"]}),
    "conslaw.nmf": ([["[1, 2, 1]"]], {}),
    "conslaw.icnn": ([["[2, 1, 2]"]], {"bias": ["False", "True"]}),
    "conslaw.pca": ([["[1, 2]"]], {}),
    "conslaw.monomial": ([["[1, 2]"]], {}),
    "conslaw.model": (
        [["lambda p, c: c.x @ p.W1 @ c.x", "lambda p, c: (c.x @ p.W1).sum()**40"]],
        {
            "parameters": ["{'W1': (2, 2)}", "{'W1': (2, 2), 's': ()}"],
            "data": ["{'x': (2,)}"],
            "name": ["None", "'mine'"],
            "metric": ["'euclidean'", "'mirror'"],
            "arguments": ["None"],
        },
    ),
    "conslaw.from_sympy": ([["x*y", "[x*y, y**2]"], ["[x, y]"]], {"name": ["'phi'"], "metric": ["'mirror'"]}),
    "conslaw.flow_from_fields": ([["[[y, -x]]", "[[x, 2*y]]"], ["[x, y]"]], {"drift": ["None", "[x, y]"]}),
    "conslaw.progress": ([["True", "False", "None"]], {}),
    "conslaw.parse_law": ([["'W1[0,1]**2 - exp(2*t)'", "'log(x)/3'", "'('*60", "'x**9**9**9'"]], {}),
    "conslaw.verify": ([["certificate", "json.dumps(certificate)", "'/nowhere'"]], {"budget": ["1", "0.01"]}),
    "conslaw.load": ([["shown", "json.dumps(shown)", "'/nowhere'", "json.dumps(shown)[:-9]"]], {}),
    "conslaw.saved.save": ([["analysis"], ["place"]], {}),
    "conslaw.is_conserved": (
        [
            [*SMALL],
            [
                *("'W1[0,0]**2'", "lambda z: z.W1 @ z.W1.T", "'W1 W1ᵀ − W2ᵀ W2'", "sympy.Symbol('t')"),
                *("lambda z: z.W1.sum() / z.W1[0, 0]", "'log(W1[0,0])'", "family", "lambda z: z.W1_dot"),
            ],
        ],
        {"seed": ["0", "3"]},
    ),
    "conslaw.dimension": ([["own", "net", "square"]], {"seed": ["0"]}),
    "analysis.evaluate": (
        [["at", "{**at, 'W9': 1}"]],
        {"velocities": ["None", "at"], "time": ["None", "0.5"], "names": ["None", "{'W1': 'W1'}"]},
    ),
    "family.evaluate": (
        [["at"]],
        {"velocities": ["None"], "time": ["None"], "names": ["None", "{'W1': 'W1'}"]},
    ),
    "family.law": ([["0", "1"], ["0", "1"]], {}),
    "conslaw.varieties.equations": ([["square"]], {"degree": ["1", "2"]}),
    "conslaw.varieties.dimension": ([["own", "net", "square"]], {"seed": ["0"]}),
    "conslaw.regions.topology": (
        [["complex"], ["0"], ["0", "0.5"]],
        {"classes": ["None"], "at_infinity": ["'none'", "'point'"]},
    ),
    "conslaw.regions.wall_crossings": ([["[lines, lines]"], ["[[1, 2]]"]], {}),
    "conslaw.regions.film": (
        [["[lines]", "[('start', lines)]"], ["place"]],
        {
            "within": ["((0, 0), (1, 1))"],
            "target": ["None", "np.eye(2)"],
            "training": ["([[0, 0]], [1])"],
            "output": ["0"],
            "level": ["0.5"],
            "seconds": ["0.1"],
        },
    ),
    "conslaw.varieties.critical_points": ([["square", "net"]], {"inner_product": ["'data'", "'generic'"]}),
    "conslaw.regions.polyhedral_complex": (
        [["lines", "[([[1, 0], [1, 2]], [0, 1])]"]],
        {
            "weights": ["None"],
            "within": ["None", "([-1, -1], [1, 1])"],
            "perturb": ["None", "1e-6"],
            "certify": ["True", "False"],
            "most_cells": ["100"],
        },
    ),
    "conslaw.regions.polytope": (
        [["lines"], ["[0.5, 0.25]", "[0, 0]"]],
        {"weights": ["None"], "box": ["None", "(-1, 1)"]},
    ),
    "conslaw.regions.data_patterns": ([["lines"], ["[[0.5, 0.25], [-1, 3]]"]], {"weights": ["None"]}),
    "complex.locate": ([["[0.5, 0.25]"]], {}),
    "complex.neighbours": ([["[0.5, 0.25]"]], {}),
    "complex.cells": ([["0", "2"]], {}),
    "complex.certificate": ([], {"file": ["None"]}),
    "region.neighbour": ([["2"]], {}),
    "conslaw.layers.HighOrderLinear": ([["2", "3"]] * 2, LAYER),
    "conslaw.layers.HighOrderConv1d": ([["1", "2"]] * 3, {**LAYER, **CONVOLUTION}),
    "conslaw.layers.HighOrderConv2d": ([["1", "2"]] * 3, {**LAYER, **CONVOLUTION}),
    "conslaw.layers.HighOrderConvTranspose1d": ([["1", "2"]] * 3, {**LAYER, **CONVOLUTION}),
    "conslaw.layers.HighOrderConvTranspose2d": ([["1", "2"]] * 3, {**LAYER, **CONVOLUTION}),
    "conslaw.layers.ProductUnit": (
        [["2", "3"]] * 2,
        {"alpha": ["0.5"], "bias": ["True"], "period": ["None"]},
    ),
    "conslaw.layers.HighOrderMLP": ([["[2, 3, 1]"]], {"normalize": ["True"], **LAYER}),
    "conslaw.layers.MaxAbsNorm": ([], {"dim": ["-1", "1"], "eps": ["1e-6"]}),
    "conslaw.from_torch": (
        [["mlp", "layer"], ["[[0.5, 0.25]]", "np.zeros((1, 2))"]],
        {
            "kwargs": ["{}", "None"],
            "loss": ["None", "'cross_entropy'"],
            "mode": ["None", "'eval'", "'train'"],
        },
    ),
    "conslaw.layers.refine": ([["mlp", "layer"]], SPACE),
    "conslaw.layers.model": ([["mlp", "layer"]], {}),
    "layer.refined": ([], SPACE),
    "layer.projected": ([], SPACE),
    "conslaw.layers.select": (
        [["'continuous'", "'fourier'", "'product'", "'polynomial_prod'"]],
        {"in_features": ["2"], "out_features": ["2"], **SELECTED},
    ),
    "conslaw.layers.select_convolution": (
        [["'continuous1d'", "'fourier2d'", "'product2d'"]],
        {
            "in_channels": ["2"],
            "out_channels": ["2"],
            "kernel_size": ["2", "(1, 2)"],
            "transposed": ["True"],
            **SELECTED,
        },
    ),
    **{f"conslaw.{name}.from_json": ([["shown"]], {}) for name in ANSWERS},
    "conslaw.sweep": (
        [["'linear'", "'linear,relu'"]],
        {
            "widths": ["'1..2'", "[[2, 1]]"],
            "depth": ["1", "None"],
            "bias": ["False", "'both'"],
            "flow": ["'gradient'", "'momentum'"],
            "ask": ["'count'"],
            "first": ["2"],
            "sample": ["None", "1"],
            "timeout": ["5"],
            "workers": ["1"],
            "retry": ["()", "'error'"],
        },
    ),
    "command": ([["'count'", "'analyze'"], ["'linear'", "'relu'"], ["'2-1-2'", "'1-1'"]], {}),
}
if not find_spec("torch"):  # there are no layers then
    CALLS = {name: call for name, call in CALLS.items() if not name.startswith("layer.")}
REQUIRED = {
    "conslaw.model": ["parameters"],
    "conslaw.sweep": ["widths"],
    "conslaw.varieties.equations": ["degree"],
    "conslaw.varieties.critical_points": ["inner_product"],
    "conslaw.layers.select": ["in_features", "out_features"],
    "conslaw.layers.select_convolution": ["in_channels", "out_channels", "kernel_size"],
}
SECONDS, BYTES = 20, 4 * 2**30


def text(name, positional, named):
    """The call as text."""
    return f"{name}({', '.join([*positional, *(f'{k}={v}' for k, v in named.items())])})"


def names():
    """What a call may name."""
    import json
    import tempfile
    from contextlib import suppress
    from decimal import Decimal
    from fractions import Fraction

    import numpy as np
    import sympy

    import conslaw
    import conslaw.certificates.verification
    import conslaw.laws.own_quantity
    import conslaw.saved
    from conslaw.command_line import main

    def command(*arguments):
        status = main([str(a) for a in arguments])
        if status not in (0, 2):
            raise RuntimeError(f"status {status}")

    net = conslaw.linear([2, 1, 1])
    x, y = sympy.symbols("x y")
    analysis = conslaw.analyze(conslaw.linear([1, 2, 1]))
    lines = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]
    mlp = layer = None
    with suppress(conslaw.ConslawError):  # without the extra, there is one line that says so
        mlp = conslaw.layers.HighOrderMLP([2, 2, 1], degree=2, segments=2)
        layer = conslaw.layers.HighOrderLinear(2, 2, segments=2)
    return {
        "place": f"{tempfile.mkdtemp()}/a.gif",
        "conslaw": conslaw,
        "lines": lines,
        "complex": conslaw.regions.polyhedral_complex(lines),
        "region": conslaw.regions.polytope(lines, [0.25, 0.25]),
        "mlp": mlp,
        "layer": layer,
        "shown": analysis.to_json(),
        "analysis": analysis,
        "at": {"W1": [[1], [2]], "W2": [[3, 0.5]]},
        "np": np,
        "sympy": sympy,
        "json": json,
        "command": command,
        "net": net,
        "Fraction": Fraction,
        "Decimal": Decimal,
        "x": x,
        "y": y,
        "many": sympy.symbols("a:40"),
        "flow": conslaw.gradient_flow(net),
        "momentum": conslaw.momentum_flow(conslaw.linear([1, 1]), damping="1/2"),
        "decayed": conslaw.gradient_flow(conslaw.linear([1, 1, 1]), weight_decay=1),
        "own": conslaw.model(
            lambda p, c: (c.x @ p.W1).sum() ** 2, parameters={"W1": (2, 1)}, data={"x": (2,)}
        ),
        "square": conslaw.networks.polynomial([2, 1, 1]),
        "point": {"W1": [[1, Fraction(1, 3)]], "W2": [[0.1]]},
        "certificate": analysis.certificate(),
        "family": analysis.law_families[0],
    }


def answer(call, known):
    """What comes of a call: all that is not an answer must be one error of one line."""
    from conslaw.errors import ConslawError

    try:
        result = eval(call, known)  # written by this file
        str(result), repr(result)
        if isinstance(result, known["conslaw"].Model | known["conslaw"].Flow):
            hash(result)
        if hasattr(result, "to_json"):
            result.to_json()
    except ConslawError as error:
        return "ok" if str(error).strip() and "\n" not in str(error) else f"a message of lines: {error!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
    return "ok"


def work():
    """The worker: standard output is kept for answers."""
    import io
    import resource

    answers, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), io.StringIO()
    known = names()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        sys.stdout = io.StringIO()
        print(answer(line.rstrip("\n"), known), file=answers, flush=True)


if __name__ == "__main__":
    work()
