"""Aggregated views online: events come in, and what they come to is read, on any server."""
