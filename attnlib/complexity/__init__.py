"""What attention costs: exact formulas, measurements, alternatives and receptive fields."""

from attnlib.complexity.architecture import Architecture
from attnlib.complexity.cost import Cost, cost, sweep
from attnlib.complexity.memory import Memory, memory
from attnlib.complexity.operations import Crossover, Macs, crossover, macs
from attnlib.complexity.parameters import Parameters, parameters
from attnlib.complexity.problem import ArchitectureError, Problem

__all__ = [
    "Architecture",
    "ArchitectureError",
    "Cost",
    "Crossover",
    "Macs",
    "Memory",
    "Parameters",
    "Problem",
    "cost",
    "crossover",
    "macs",
    "memory",
    "parameters",
    "sweep",
]
