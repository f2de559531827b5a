"""Parts of answers that are read back from JSON: what they said, without what they were computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conslaw.errors import ConslawError
from conslaw.laws.law_latex import law_latex
from conslaw.laws.law_text import parse_law
from conslaw.laws.matrix_notation import LawFamily
from conslaw.laws.state_space import StateSpace

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class RecordedSplit:
    """How a network was split, read back from JSON."""

    data: Mapping[str, Any]

    def __str__(self) -> str:
        return str(self.data["text"])

    def to_json(self) -> dict[str, Any]:
        """The dictionary that it was read from."""
        return dict(self.data)


@dataclass(frozen=True)
class RecordedLaws:
    """Laws read back from JSON: as text, and in the notation of the model."""

    texts: Sequence[str] | None
    families: Sequence[LawFamily]
    left: Sequence[int]
    looked_for: Sequence[str]
    space: StateSpace

    def __len__(self) -> int:
        return len(self.strings())

    def strings(self) -> list[str]:
        """The laws as text."""
        if self.texts is None:
            raise ConslawError(
                "these laws were too many to be written out: read them as analysis.law_families"
            )
        return list(self.texts)

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        return list(map(law_latex, self.strings()))

    def expressions(self) -> list[sympy.Expr]:
        """The laws as SymPy expressions."""
        return [parse_law(text) for text in self.strings()]
