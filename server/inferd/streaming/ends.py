"""The ends of a pipeline: where its events come from, and where what becomes of them goes."""

from typing import NamedTuple

from inferd.cache.streams import Sink, Source


class Ends(NamedTuple):
    """One source and two sinks, which may be the same."""

    source: Source
    results: Sink
    letters: Sink
