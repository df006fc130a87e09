"""Clients of the Temporal server: connect, start and operate runs, read them, list them."""
