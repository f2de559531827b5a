"""The question that an analysis can be asked about weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conslaw.errors import ConslawError
from conslaw.laws.lie import LieRanks

if TYPE_CHECKING:
    from conslaw.attained.attainment import Attainment


class NearWeights:
    """What an :class:`conslaw.Analysis` says near given weights."""

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
