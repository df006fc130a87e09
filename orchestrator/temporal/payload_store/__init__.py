"""Store large payloads outside of Temporal: histories hold a reference to them."""
