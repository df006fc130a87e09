"""Webhooks: who may send, how a request is read, and what it is answered. HTTP stays in the routes."""
