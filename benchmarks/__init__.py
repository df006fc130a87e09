"""How much the interpreter costs beside workflows written by hand: `python -m benchmarks`."""
