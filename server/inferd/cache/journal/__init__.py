"""Append-only files whose records vouch for each other: see `chain`."""
