"""Run a definition without a server: a virtual clock and mocked actions."""

from orchestrator.simulator.simulate import simulate

__all__ = ["simulate"]
