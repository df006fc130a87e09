"""IDs of customers."""

CUSTOMER_NAME = r"^([^*\x00-\x1f\x7f][^\x00-\x1f\x7f]*|\*[^\x00-\x1f\x7f]+)$"
"""Pattern of a customer ID: as an owner, `*` means all customers, so no customer can have that name."""
MAX_CUSTOMER = 128
"""Maximum length of a customer ID, in characters."""
