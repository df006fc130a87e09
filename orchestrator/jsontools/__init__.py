"""Tools for JSON: positions in source text, pointers, JSON Schema, suggestions for misspelt names."""
