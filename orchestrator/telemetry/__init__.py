"""Metrics, traces and log context."""
