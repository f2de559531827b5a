"""conslaw: what does training this network conserve?  Exact, proved conservation laws of gradient flows."""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

from conslaw.version import __version__ as __version__

if TYPE_CHECKING:
    from conslaw.analysis import analyze as analyze
    from conslaw.analysis import count as count
    from conslaw.certificates.verification import verify as verify
    from conslaw.errors import ConslawError as ConslawError
    from conslaw.flows.flow import Flow as Flow
    from conslaw.flows.flow import gradient_flow as gradient_flow
    from conslaw.flows.flow import momentum_flow as momentum_flow
    from conslaw.flows.vector_fields import flow_from_fields as flow_from_fields
    from conslaw.laws.ansatz import polynomial_laws as polynomial_laws
    from conslaw.laws.law_text import parse_law as parse_law
    from conslaw.laws.lie import lie_ranks as lie_ranks
    from conslaw.laws.own_quantity import is_conserved as is_conserved
    from conslaw.laws.rational import rational_laws as rational_laws
    from conslaw.long_work import progress as progress
    from conslaw.models.from_sympy import from_sympy as from_sympy
    from conslaw.models.from_torch import from_torch as from_torch
    from conslaw.models.networks import icnn as icnn
    from conslaw.models.networks import linear as linear
    from conslaw.models.networks import monomial as monomial
    from conslaw.models.networks import nmf as nmf
    from conslaw.models.networks import pca as pca
    from conslaw.models.networks import relu as relu
    from conslaw.models.potential import Model as Model
    from conslaw.models.potential import model as model
    from conslaw.reporting import report as report
    from conslaw.saved import load as load
    from conslaw.sweeps.sweep import sweep as sweep
    from conslaw.training.monitor import Monitor as Monitor
    from conslaw.training.simulation import simulate as simulate
    from conslaw.varieties.dimensions import dimension as dimension

_HOMES = {
    "analysis": ("analyze", "count"),
    "certificates.verification": ("verify",),
    "errors": ("ConslawError",),
    "flows.flow": ("Flow", "gradient_flow", "momentum_flow"),
    "flows.vector_fields": ("flow_from_fields",),
    "laws.ansatz": ("polynomial_laws",),
    "laws.law_text": ("parse_law",),
    "laws.lie": ("lie_ranks",),
    "laws.own_quantity": ("is_conserved",),
    "laws.rational": ("rational_laws",),
    "long_work": ("progress",),
    "models.from_sympy": ("from_sympy",),
    "models.from_torch": ("from_torch",),
    "models.networks": ("icnn", "linear", "monomial", "nmf", "pca", "relu"),
    "models.potential": ("Model", "model"),
    "reporting": ("report",),
    "saved": ("load",),
    "sweeps.sweep": ("sweep",),
    "training.monitor": ("Monitor",),
    "training.simulation": ("simulate",),
    "varieties.dimensions": ("dimension",),
}
_MOVED = {  # reachable here for one version more
    "Analysis": "answers",
    "Count": "answers",
    "LawFamily": "laws.matrix_notation",
    "LieRanks": "laws.lie",
    "PolynomialLaws": "laws.ansatz",
    "RationalLaws": "laws.rational",
    "Verification": "certificates.verification",
}
_ROOMS = (  # with a namespace of their own
    *("answers", "layers", "networks", "nn", "plots", "regions", "reporting", "saved"),
    *("sweeps", "training", "varieties"),
)
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for, so that the shell starts at once."""
    if name in _ROOMS:
        return import_module(f"conslaw.{name}")
    if name in _MOVED:
        home = f"conslaw.{_MOVED[name]}"
        warn(f"conslaw.{name} is {home}.{name}: import it from there", DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), name)
    if name not in _HOME:
        raise AttributeError(f"module 'conslaw' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"conslaw.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS, *__all__])
