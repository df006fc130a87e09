"""What the API and the command line do with definitions, triggers and runs of many customers. No HTTP, no printing."""

CUSTOMER_NAME = r"^[^\x00-\x1f\x7f]+$"
"""What can be a customer's id."""
MAX_CUSTOMER = 128
"""Its characters."""
DEFAULT_CUSTOMER = "default"
"""Whose everything is where nobody says."""
