"""Faults that a call brings for itself: `x-fault: redis=latency:200ms, model.ranker=error`.

They are read from its metadata by every point that it passes, and kept by their text: callers who
break things say the same again and again. So other calls carry nothing for it.
"""

import re
from functools import lru_cache
from typing import NamedTuple, NoReturn

from pydantic import ValidationError

from inferd.call import Call
from inferd.config import faults as config
from inferd.errors import InvalidRequest

METADATA = "x-fault"
"""Request metadata: faults for this call only, separated by commas."""

_PART = re.compile(r"(?P<place>[^\s=,]+)=(?P<kind>[a-z_]+)(:(?P<value>[^\s,]+))?")
_MS = re.compile(r"(?P<ms>[0-9]+(\.[0-9]+)?)ms")
#: What the value after the colon is called; None: there is none. Other kinds outlast a call.
_VALUES = {
    "latency": "ms",
    "cpu_stall": "ms",
    "error": "reason",
    "drop": None,
    "hang": None,
    "corrupt": None,
}


class OfCall(NamedTuple):
    """One fault, and where it strikes the call."""

    place: str
    fault: config.Fault


def faults_of(call: Call) -> tuple[OfCall, ...]:
    """Return what a call brings. Raises `InvalidRequest` for what cannot be understood."""
    text = call.metadata.get(METADATA)
    return () if text is None else _parsed(str(text))


@lru_cache(maxsize=128)
def _parsed(text: str) -> tuple[OfCall, ...]:
    return tuple(_one(part.strip()) for part in text.split(","))


def _one(part: str) -> OfCall:
    found = _PART.fullmatch(part)
    if found is None:
        refuse(f"expected point=kind or point=kind:value, got {part!r:.80}")
    kind, value = found["kind"], found["value"]
    if kind not in _VALUES:
        refuse(f"{kind!r:.80} is no fault for a call; there are {', '.join(_VALUES)}")
    return OfCall(found["place"], _fault(kind, value))


def _fault(kind: str, value: str | None) -> config.Fault:
    parameters: dict[str, object] = {"kind": kind}
    name = _VALUES[kind]
    if value is not None:
        if name is None:
            refuse(f"{kind} takes no value, got {value!r:.80}")
        parameters[name] = _milliseconds(kind, value) if name == "ms" else value
    try:
        return config.fault(parameters)
    except ValidationError as error:
        refuse(f"{kind}: {'; '.join(each['msg'] for each in error.errors())}")


def _milliseconds(kind: str, value: str) -> float:
    found = _MS.fullmatch(value)
    if found is None:
        refuse(f"{kind} takes milliseconds, such as 200ms, got {value!r:.80}")
    return float(found["ms"])


def refuse(why: str) -> NoReturn:
    """Raise `InvalidRequest`, naming the metadata."""
    raise InvalidRequest(f"metadata[{METADATA}]: {why}", field=f"metadata[{METADATA}]")
