"""What a caller says of itself that decides who is served when not all can be.

It comes as metadata of the call. Most callers say nothing, and that must cost nothing: then
there is one answer, made once.
"""

from collections.abc import Mapping
from typing import NamedTuple

from inferd.call import ATTEMPTS, CLIENT_ID, CRITICALITY, Criticality, Value
from inferd.errors import InvalidRequest

MAX_CLIENT_ID = 128
"""Characters in a caller's name: the server keeps names for a while."""

WEIGHTS: Mapping[str, float] = {
    Criticality.CRITICAL_PLUS: 10.0,
    Criticality.CRITICAL: 1.0,
    Criticality.SHEDDABLE_PLUS: 0.1,
    Criticality.SHEDDABLE: 0.01,
}
"""What an answer in time is worth, per request: one of a kind is as good as ten of the next."""


class Standing(NamedTuple):
    """How a request stands among others."""

    #: What an answer in time is worth.
    weight: float
    #: Who asks; None: they did not say.
    caller: str | None
    #: Whether it was tried before.
    retried: bool


ORDINARY = Standing(WEIGHTS[Criticality.CRITICAL], None, False)
"""Of a caller who says nothing."""


def standing_of(metadata: Mapping[str, Value]) -> Standing:
    """Return what the metadata of a call say.

    Raises `InvalidRequest` naming the key whose value is none.
    """
    if CRITICALITY not in metadata and CLIENT_ID not in metadata and ATTEMPTS not in metadata:
        return ORDINARY
    return Standing(
        _weight(metadata.get(CRITICALITY)),
        caller_of(metadata),
        metadata.get(ATTEMPTS, "0") != "0",
    )


def _weight(said: Value | None) -> float:
    if said is None:
        return ORDINARY.weight
    weight = WEIGHTS.get(str(said).upper())
    if weight is None:
        raise _wrong(CRITICALITY, f"must be one of {', '.join(WEIGHTS)}, got {str(said)[:64]!r}")
    return weight


def caller_of(metadata: Mapping[str, Value]) -> str | None:
    """Return who asks; None: they did not say. Raises `InvalidRequest` for too long a name."""
    said = metadata.get(CLIENT_ID)
    if not said:
        return None
    if len(said) > MAX_CLIENT_ID:
        raise _wrong(CLIENT_ID, f"must have at most {MAX_CLIENT_ID} characters, got {len(said)}")
    return str(said)


def _wrong(key: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{key} {what}", field=f"metadata[{key}]")
