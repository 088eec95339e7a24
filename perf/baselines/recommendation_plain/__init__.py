"""Recommendations as they are usually written: see `__main__`."""
