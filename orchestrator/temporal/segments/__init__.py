"""Run a segment of fused actions in the worker, as one local activity."""
