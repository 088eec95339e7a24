"""How an answer says what it had to do without.

Every stage of an endpoint has a ladder of ways to be taken, from best to cheapest. Whatever is
not the first way is a degradation: it is in the answer, in its trailing metadata (`x-degraded`),
and in the metrics, always with the reason why the way above was not taken.
"""

from collections.abc import Iterable
from typing import NamedTuple

TRAILER = "x-degraded"
"""Trailing metadata: `stage=source;reason=TIMED_OUT`, separated by commas; `;age_ms=` if old."""

OVERLOADED = "OVERLOADED"
"""The reason where load, and not a failure, made the endpoint do with less."""
STALE = "STALE"
"""The reason where the best way itself had only something of before. All others are the reasons
of errors (`inferd.errors`)."""
ABSENT = "none"
"""The source of a stage that the answer does without."""


class Degradation(NamedTuple):
    """One stage that did not get what it is for in the best way."""

    stage: str
    #: The rung that served instead, or `ABSENT`.
    source: str
    #: Why the first rung did not serve: an error's reason, or `OVERLOADED`.
    reason: str
    #: How old what served is; None where it is not from before.
    age_s: float | None = None


def trailer(degradations: Iterable[Degradation]) -> str:
    """Return the value of the trailer."""
    return ",".join(_described(each) for each in degradations)


def _described(each: Degradation) -> str:
    age = "" if each.age_s is None else f";age_ms={each.age_s * 1e3:.0f}"
    return f"{each.stage}={each.source};reason={each.reason}{age}"
