"""Array expressions and the number systems they run over."""
