"""What comes after an answer or instead of one: trailing metadata, and what they say.

A server that answers with less than it was asked for says so in `x-degraded`: one entry per
stage that was not taken in the best way, `stage=source;reason=WORD`, separated by commas, and
`;age_ms=` where what served instead is from before. Unknown parts of an entry are passed
over, and so is an entry that cannot be read: an answer is never lost over its label.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

Trailing = Mapping[str, str | bytes]
"""Trailing metadata. Values are text, except under keys that end in `-bin`."""

DEGRADED_KEY = "x-degraded"


class Degradation(NamedTuple):
    """One stage of an answer that did not get what it is for in the best way."""

    stage: str
    #: What served instead; `none`: the answer does without.
    source: str
    #: Why, in the server's one word: e.g. `TIMED_OUT`, `BREAKER_OPEN`, `OVERLOADED`.
    reason: str
    #: How old what served is; None where it is not from before.
    age_s: float | None = None


def mapping_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> Trailing:
    """Return metadata as a mapping. Of a key that came more than once, the last value."""
    return dict(metadata or ())


def degradations(trailing: Trailing) -> tuple[Degradation, ...]:
    """Return what the answer had to do without; empty if it is as good as was asked for."""
    value = trailing.get(DEGRADED_KEY, "")
    return tuple(_read(value)) if isinstance(value, str) else ()


def _read(value: str) -> Iterator[Degradation]:
    for entry in value.split(","):
        served, *rest = (part.strip() for part in entry.split(";"))
        stage, _, source = served.partition("=")
        facts = dict(part.partition("=")[::2] for part in rest)
        if stage and source:
            yield Degradation(stage, source, facts.get("reason", ""), _age_s(facts))


def _age_s(facts: Mapping[str, str]) -> float | None:
    try:
        return float(facts["age_ms"]) / 1000
    except (KeyError, ValueError):
        return None
