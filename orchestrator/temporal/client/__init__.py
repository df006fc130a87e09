"""Clients of the Temporal server: connect, start and operate runs, list them, read their trees."""
