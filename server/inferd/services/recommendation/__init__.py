"""Recommendations: what to show to somebody, out of many things."""
