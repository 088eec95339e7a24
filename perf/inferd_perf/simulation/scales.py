"""From values to pixels: axes, their ticks, and places that do not overlap. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TICKS, _LEAST_GAP_PX, _HEADROOM = 5, 30, 1.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What a direction means. Logarithmic ones need values above zero."""

    label: str
    log: bool = False
    percent: bool = False
    #: None: from the data, with zero.
    low: float | None = None
    high: float | None = None
    #: Where to put the ticks; empty: at round numbers.
    ticks: Sequence[float] = ()


class Scale:
    """From values to pixels."""

    def __init__(self, axis: Axis, values: Sequence[float], first_px: float, last_px: float):
        usable = [value for value in values if value > 0] if axis.log else [0.0, *values]
        usable = usable or [1.0]
        self._axis = axis
        self.low = min(usable) if axis.low is None else axis.low
        self.high = max(usable) * (1.0 if axis.log else _HEADROOM)
        if axis.high is not None:
            self.high = axis.high
        if self.low >= self.high:
            self.high = self.low * 2 if axis.log else self.low + 1.0
        self._first_px, self._last_px = first_px, last_px

    def _place(self, value: float) -> float:
        return math.log(value) if self._axis.log else value

    def at(self, value: float) -> float:
        """Return where a value is; one beyond the ends is drawn at the end."""
        inside = min(max(value, self.low), self.high)
        low, high = self._place(self.low), self._place(self.high)
        share = (self._place(inside) - low) / (high - low)
        return self._first_px + share * (self._last_px - self._first_px)

    def ticks(self) -> list[float]:
        """Return round numbers, not closer to each other than can be read."""
        wanted = self._axis.ticks or (
            _decades(self.low, self.high) if self._axis.log else _round(self.low, self.high)
        )
        kept: list[float] = []
        for tick in sorted(wanted, key=lambda tick: (tick != 1.0, tick)):
            far = all(abs(self.at(tick) - self.at(other)) >= _LEAST_GAP_PX for other in kept)
            if self.low <= tick <= self.high and far:
                kept.append(tick)
        return sorted(kept)


def _round(low: float, high: float) -> list[float]:
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.99)
    first = math.ceil(low / step - 1e-9)
    return [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    tens = [10.0**exponent for exponent in exponents]
    inside = [tick for tick in tens if low <= tick <= high]
    return inside if len(inside) > 1 else [ten * factor for ten in tens for factor in (1, 2, 5)]


def words(value: float, axis: Axis) -> str:
    """Return a tick's text."""
    if axis.percent:
        return f"{value * 100:g} %"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def exactly(value: float, axis: Axis) -> str:
    """Return a value's text, with more digits than a tick's."""
    return f"{value * 100:.1f} %" if axis.percent else f"{value:.4g}"


def spread_out(wanted: Sequence[float], least: float, most: float, apart: float) -> list[float]:
    """Return the places, in the given order, moved until none is closer than `apart` to the next.

    Those that would overlap become a block around the mean of where they should be (the
    pool-adjacent-violators algorithm).
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[list[int]] = []

    def first_of(block: list[int]) -> float:
        height = (len(block) - 1) * apart
        middle = sum(wanted[index] for index in block) / len(block)
        return max(least, min(middle - height / 2, most - height))

    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and (
            first_of(blocks[-2]) + len(blocks[-2]) * apart > first_of(blocks[-1])
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    places = [0.0] * len(wanted)
    for block in blocks:
        for at, index in enumerate(block):
            places[index] = first_of(block) + at * apart
    return places
