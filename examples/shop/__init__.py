"""A simulated shop: who lives in it, what they do, and what is really going on.

`World.generate(seed, days)` is all of it. The same seed gives the same events, to the byte, on any
machine and with any version of Python or NumPy.
"""

from shop.world import World

__all__ = ["World"]
