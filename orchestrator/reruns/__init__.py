"""Rerun a run that has ended from any of its steps: record what it was answered, and walk to that step. No I/O."""
