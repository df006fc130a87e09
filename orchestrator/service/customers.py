"""IDs of customers."""

CUSTOMER_NAME = r"^[^\x00-\x1f\x7f]+$"
"""Pattern of a customer ID."""
MAX_CUSTOMER = 128
"""Maximum length of a customer ID, in characters."""
