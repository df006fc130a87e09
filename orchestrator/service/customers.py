"""IDs of customers."""

CUSTOMER_NAME = r"^[^\x00-\x1f\x7f]+$"
"""Pattern of a customer ID."""
MAX_CUSTOMER = 128
"""Maximum length of a customer ID, in characters."""
DEFAULT_CUSTOMER = "default"
"""The customer of requests that name none. Where `None` is accepted, it means all customers."""
