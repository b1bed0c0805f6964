"""Mutations of valid files into everything that reads one: see :mod:`tests.fuzz.__main__`."""
