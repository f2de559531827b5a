"""The questions that an analysis can be asked about weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.errors import ConslawError
from conslaw.laws.law_text import Floats
from conslaw.laws.lie import LieRanks
from conslaw.laws.state_space import StateSpace
from conslaw.models.weights import Array

if TYPE_CHECKING:
    from conslaw.attained.attainment import Attainment


class NearWeights:
    """What an :class:`conslaw.answers.Analysis` says near given weights."""

    @property
    def space(self: Any) -> StateSpace:
        """The state that the laws are functions of, and where it is in the weights of the model."""
        recorded = getattr(self.polynomial_laws, "space", None)
        return recorded or StateSpace.of(self.analyzed)

    def at(
        self: Any, weights: Any, inputs: Any = None, *, names: Mapping[str, str] | None = None, seed: int = 0
    ) -> Attainment:
        """Whether the answer is about all that the network itself conserves near given weights.

        Upper bounds are about the parametrisation, whose fields may span more than the true gradients of the
        network do: units may be dead, or never switch.  This takes the rank of the true gradients, over the
        inputs and all losses.  If it is that of the fields, both are the same near these weights.

        Parameters
        ----------
        weights : mapping, ``state_dict`` or module
            An array of real numbers for each parameter of the model; taken as float64, which are exact.
        inputs : array of ``(number, *shape)``, or mapping from data arrays to such, optional
            The data to look at.  By default drawn from N(0, 1), until the rank is attained or stands still.
        names : mapping, optional
            For parameters that are called otherwise in ``weights``: their names there.
        seed : int
            Draws inputs, losses and the prime; the same seed gives the same run.

        Returns
        -------
        Attainment
            The rank is **proved**: for piecewise polynomial networks signs are certain and the rank is one
            mod a prime; for smooth ones an invertible minor is enclosed in ball arithmetic.

        Raises
        ------
        ConslawError
            For weights or inputs that do not fit, are not finite or not real; gates written by hand; arrays
            of more than 20,000 parameters in other networks than layers of ReLU (LeakyReLU, abs).

        Examples
        --------
        >>> import conslaw, numpy
        >>> analysis = conslaw.analyze(conslaw.relu([2, 3, 1]))
        >>> weights = {"W1": [[1, 0], [0, 1], [1, 1]], "W2": [[1, 2, 3]]}
        >>> analysis.at(weights).attained
        True
        >>> analysis.at(weights, inputs=[[1, 2], [2, 1]]).rank
        2
        """
        from conslaw.attained.attainment import attained

        if self.given is None:
            raise ConslawError("an answer that was read back has no network: analyze the model again")
        return attained(
            self.given,
            weights,
            inputs,
            names=names,
            seed=seed,
            title=self.title,
            first=self.lie_ranks[0] if isinstance(self.bound, LieRanks) else self.state_dimension,
            laws_found=self.laws_found,
            complete=self.complete,
        )

    def evaluate(
        self: Any,
        weights: Any,
        velocities: Any = None,
        time: float | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> dict[str, Array]:
        """The values of all laws at weights, as floats.

        Parameters
        ----------
        weights : mapping, ``state_dict`` or module
            An array of real numbers for each parameter of the model, in its names or in those of the module.
        velocities : the same, optional
            Of a momentum flow: the velocities of the parameters.
        time : float, optional
            The time t, where laws depend on it.
        names : mapping, optional
            For parameters that are called otherwise in ``weights``: their names there.

        Returns
        -------
        dict
            From the text of each family in :attr:`law_families` to the array of its values: (size, size) for
            a matrix, (size,) for a vector, () for a scalar, with an axis (each,) in front if there is one
            for each slice; then from the text of each law in no family to its value, of shape ().  NaN where
            a law is not defined: the logarithm of a number <= 0, a quotient by 0.

        Raises
        ------
        ConslawError
            For arrays that are missing, of another shape, not finite or not real; for velocities or a time
            that are missing or superfluous.

        Examples
        --------
        >>> import conslaw
        >>> analysis = conslaw.analyze(conslaw.linear([2, 2, 2]))
        >>> analysis.evaluate({"W1": [[1, 0], [2, 1]], "W2": [[3, 0], [0, 1]]})
        {'W1 W1ᵀ − W2ᵀ W2': array([[-8.,  2.],
               [ 2.,  4.]])}
        """
        point, t = self.space.point(weights, velocities, time, names)
        values = {family.text: family.value(point, t) for family in self.law_families}
        left = [] if self._many else self._left(self._count())
        written = self._written() if left else []
        floats = Floats(point, t)
        return values | {written[i]: np.array(floats.value(written[i])) for i in left}
