"""What to say to whoever names something that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what to say to whoever asked for a name that is not known."""
    return _nearest(name[:64], tuple(known))


@lru_cache(maxsize=1024)  # it takes a third of a millisecond, and a mistake is made in every row
def _nearest(name: str, known: tuple[str, ...]) -> str:
    if near := get_close_matches(name, known, n=3, cutoff=0.5):
        return f"did you mean {', '.join(near)}?"
    some = ", ".join(sorted(known)[:10]) or "none"
    return f"there are {some}" + (", ..." if len(known) > 10 else "")
