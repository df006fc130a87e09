"""Temporal Schedules of active workflows."""
