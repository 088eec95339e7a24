"""Breaks a server that recommends in every way, and looks at what became of every call.

The same suite as the one around it, for `RecommendationService`. It has a small catalogue and small
models (`support.recommending`): what is looked at is not how good lists are.
"""
