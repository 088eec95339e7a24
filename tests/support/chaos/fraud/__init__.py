"""Breaks a server that decides on fraud in every way, and looks at what became of every call.

    PYTHONPATH=tests:examples python -m support.chaos.fraud

The same suite as the one around it, for `FraudService`, with more to look at: what is on record.
The table in docs/fraud.md is what came of it.
"""
