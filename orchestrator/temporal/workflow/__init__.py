"""The workflow code that runs in Temporal's sandbox. Replay-sensitive throughout."""
