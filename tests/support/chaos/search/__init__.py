"""Breaks a server that searches in every way, and looks at what became of every call.

    PYTHONPATH=tests:examples python -m support.chaos.search

The same suite as the one around it, for `SearchService`. Documents come all the time meanwhile, and
those that were acknowledged must be there when all is over.
"""
