"""Many predictions: one table, its numbers, one report."""
