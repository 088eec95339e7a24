"""Experiments: who gets which arm, who has seen it, and what came of it."""
