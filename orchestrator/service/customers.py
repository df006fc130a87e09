"""IDs of customers."""

CUSTOMER_NAME = r"^([^*\x00-\x1f\x7f][^\x00-\x1f\x7f]*|\*[^\x00-\x1f\x7f]+)$"
"""Pattern of a customer ID: `*` stands for all customers as an owner, so no customer can have that name."""
MAX_CUSTOMER = 128
"""Maximum length of a customer ID, in characters."""
