"""The default customer, apart from the models so that the command line starts without pydantic."""

DEFAULT_CUSTOMER = "default"
"""The customer of definitions and requests that name none.

Where `None` is accepted, it means all customers; no customer has an empty ID.
"""
