"""The complexity calculator: what attention costs, in formulas and as measured."""
