"""Read a run from its event history."""
