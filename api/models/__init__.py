"""Request and response bodies by subject."""
