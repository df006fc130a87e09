"""What each name can hold at each node: the check of a definition's data before it runs (docs/design.md)."""
