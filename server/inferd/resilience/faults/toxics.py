"""What toxics do to the bytes of one direction of a connection: toxiproxy's rules, without I/O.

Times are in seconds. Where several of a kind are there, their delays add up and the tightest
limit holds.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from inferd.config import faults as config

Toxics = Iterable[config.Fault]

SLOT_S = 0.1
"""Bandwidth is given out by what may pass in this time, so that it is smooth."""
KB = 1000

Kind = TypeVar("Kind", bound=config.Fault)


class Piece(NamedTuple):
    """How many bytes go next, and what to wait for them."""

    size: int
    wait_s: float


def of(kind: type[Kind], toxics: Toxics) -> list[Kind]:
    """Return those of one kind."""
    return [each for each in toxics if isinstance(each, kind)]


def piece(size: int, toxics: Toxics, random: Callable[[], float]) -> Piece:
    """Return which of the next `size` bytes, at most, go together, and when."""
    wait_s = 0.0
    for slicer in of(config.Slicer, toxics):
        variation = round((2 * random() - 1) * slicer.variation_bytes)
        size = min(size, slicer.average_bytes + variation)
        wait_s += slicer.delay_us / 1e6
    for bandwidth in of(config.Bandwidth, toxics):
        rate = bandwidth.rate_kb_s * KB
        size = min(size, max(1, int(rate * SLOT_S)))
        wait_s += size / rate
    return Piece(size, wait_s)


def swallowing(toxics: Toxics) -> bool:
    """Whether bytes get lost."""
    return bool(of(config.Timeout, toxics))


def closes_in_s(toxics: Toxics) -> float | None:
    """Return when a connection is closed that has had these toxics from now on; None: never."""
    times_ms = [each.timeout_ms for each in of(config.Timeout, toxics) if each.timeout_ms]
    return min(times_ms) / 1000 if times_ms else None


def resets_in_s(toxics: Toxics) -> float | None:
    """Return when the connection is reset once there are bytes to pass on; None: never."""
    times_ms = [each.timeout_ms for each in of(config.ResetPeer, toxics)]
    return min(times_ms) / 1000 if times_ms else None


def closing_takes_s(toxics: Toxics) -> float:
    """Return by how much the end of a connection is late."""
    return sum(each.delay_ms for each in of(config.SlowClose, toxics)) / 1000


def limit_bytes(toxics: Toxics) -> int | None:
    """Return after how many bytes the connection is closed; None: never."""
    return min((each.bytes for each in of(config.LimitData, toxics)), default=None)
