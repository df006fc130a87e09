"""Names of customers."""

CUSTOMER_NAME = r"^[^\x00-\x1f\x7f]+$"
"""What can be a customer's id."""


MAX_CUSTOMER = 128
"""Its characters."""


DEFAULT_CUSTOMER = "default"
"""Whose everything is where nobody says."""
