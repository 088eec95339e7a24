"""Recommendations: candidates, rankers, rules, and what is known of users."""
