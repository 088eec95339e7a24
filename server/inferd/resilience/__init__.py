"""Staying useful while dependencies are not: budgets, breakers, limits, ladders, and faults."""
