"""The default customer, apart from the models so that the command line starts without pydantic."""

DEFAULT_CUSTOMER = "default"
"""Customer of definitions that name none."""
