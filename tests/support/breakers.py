"""A breaker and the calls through it, written as letters. The clock is moved by hand."""

from typing import Any

from inferd.config import resilience
from inferd.resilience.breaker import Breaker, State
from inferd.resilience.outcome import Outcome

SLOW_MS = 100.0
#: S: good, F: failed, s and f: the same but slow, I: says nothing.
OUTCOMES = {
    "S": (Outcome.SUCCESS, 0.01),
    "F": (Outcome.FAILURE, 0.01),
    "s": (Outcome.SUCCESS, 0.5),
    "f": (Outcome.FAILURE, 0.5),
    "I": (Outcome.IGNORED, 0.5),
}
#: Easily tripped, and with buckets of an eighth of a second, which is exact.
DEFAULTS: dict[str, Any] = {
    "window_s": 1.25,
    "minimum_calls": 4,
    "slow_ms": SLOW_MS,
    "open_s": 1.0,
    "open_max_s": 8.0,
    "open_jitter": 0.0,
    "probe_timeout_s": 2.0,
}


class Driven:
    def __init__(self, *, random: float = 0.5, **config: Any) -> None:
        self.random = random
        self.now = 1000.0
        self.breaker = Breaker(
            resilience.Breaker(**{**DEFAULTS, **config}), random=lambda: self.random
        )

    @classmethod
    def opened(cls, **config: Any) -> "Driven":
        """Return one that has just opened."""
        it = cls(**config)
        it.call("FFFF")
        assert it.breaker.entered[State.OPEN] == 1
        return it

    @classmethod
    def half_open(cls, **config: Any) -> "Driven":
        """Return one that lets probes pass from the next call on."""
        it = cls.opened(**config)
        it.now += it.breaker.retry_after(it.now)
        return it

    def state(self) -> State:
        """Return the state: called, or mypy believed that it never changes."""
        return self.breaker.state

    @property
    def why(self) -> str:
        return self.breaker.transitions[-1].why

    def begin(self) -> int:
        return self.breaker.admit(self.now)

    def end(self, permit: int, letter: str) -> None:
        self.breaker.settle(permit, *OUTCOMES[letter], self.now)

    def call(self, letters: str) -> str:
        """Make calls one after the other, and return them with those that did not pass as dots."""
        made = ""
        for letter in letters:
            permit = self.begin()
            if permit:
                self.end(permit, letter)
            made += letter if permit else "."
        return made
