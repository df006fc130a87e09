"""Definitions that people recognise, and the local servers that the first of them works with."""
