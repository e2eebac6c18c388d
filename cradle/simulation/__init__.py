"""Screens with known truth: fully simulated, or implanted into real cells."""

from cradle.simulation.config import SimulationConfig
from cradle.simulation.screen import simulate

__all__ = ["SimulationConfig", "simulate"]
