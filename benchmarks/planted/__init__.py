"""Planted causes: models and sets whose fault is known, and how often the diagnosis names it."""
