"""Quotients: the search in each flow, and how many laws it finds of those that there are at most."""

from __future__ import annotations

from rows import Row

FLOWS = {  # how it is made, the degree
    "u^3 - v^3, 3 pairs": ("differences(3, 3)", 4),
    "u^4 - v^4, 3 pairs": ("differences(4, 3)", 4),
    "u^5 - v^5, 10 pairs": ("differences(5, 10)", 6),
    "x' = x^7, y' = y^7": ("powers(7)", 12),
    "radial, 6 coordinates": ("radial(6)", 3),
    "radial, 14 coordinates": ("radial(14)", 2),
    "pca 2, 4": ("G(pca)", 2),
    "momentum, radial, 2": ("M(radial_model(2))", 3),
    "linear 1-2-1 in z**3": ("G(conslaw.linear([1, 2, 1]), metric='z**3')", 4),
    "linear 1-2-2-1 (no quotients)": ("G(conslaw.linear([1, 2, 2, 1]))", 2),
}


def found(name: str) -> str:
    import sympy

    import conslaw

    def radial_model(n: int) -> conslaw.Model:
        return conslaw.model(lambda p, c: (p.x**2).sum(), parameters={"x": (n,)})

    def differences(power: int, pairs: int) -> conslaw.Flow:
        u, v = sympy.symbols(f"u:{pairs}"), sympy.symbols(f"v:{pairs}")
        phi = [a**power - b**power for a, b in zip(u, v, strict=True)]
        return conslaw.gradient_flow(conslaw.from_sympy(phi, [*u, *v]))

    def powers(power: int) -> conslaw.Flow:
        x, y = sympy.symbols("x y")
        return conslaw.flow_from_fields([[x**power, y**power]], [x, y])

    known = {"conslaw": conslaw, "G": conslaw.gradient_flow, "M": conslaw.momentum_flow}
    known |= {"radial_model": radial_model, "differences": differences, "powers": powers}
    known["pca"] = conslaw.model(
        lambda p, c: ((p.U @ p.U.T) * c.s).sum(), parameters={"U": (2, 4)}, data={"s": (2, 2)}
    )
    known |= {"radial": lambda n: conslaw.gradient_flow(radial_model(n))}
    made, degree = FLOWS[name]
    flow = eval(made, known)
    most = conslaw.count(flow).laws_at_most
    laws = conslaw.rational_laws(flow, degree=degree)
    return f"degree {degree}: {len(laws)} of {most}"


ROWS = [Row(f"quotients: {name}", found, (name,)) for name in FLOWS]
