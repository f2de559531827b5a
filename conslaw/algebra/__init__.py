"""Array expressions and the number systems they run over."""

from conslaw.algebra import numpy_functions as numpy_functions  # with it arrays know NumPy's functions
