"""Screens with known truth: fully simulated, or implanted into real cells."""

from cradle.simulation.ceiling import truth_ceiling
from cradle.simulation.config import SimulationConfig
from cradle.simulation.screens import semi_synthetic, simulate, write_simulation

__all__ = [
    "SimulationConfig",
    "semi_synthetic",
    "simulate",
    "truth_ceiling",
    "write_simulation",
]
