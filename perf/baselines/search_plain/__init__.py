"""Search as an ordinary engineer would write it: see `__main__`."""
