"""An event: something that a user did at some time, and all that was known of it there.

Events come as JSON. `protos/inferd/v1/streaming.proto` says the same for those who write them.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from inferd.errors import InvalidRequest, TooLarge

Text = Annotated[str, msgspec.Meta(max_length=256)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Location(msgspec.Struct, frozen=True):
    """Where on Earth, in degrees."""

    latitude: float = 0.0
    longitude: float = 0.0


class EventContext(msgspec.Struct, frozen=True):
    """How the user was there."""

    session_id: str = ""
    device_type: str = ""
    location: Location | None = None
    user_agent: str = ""
    referrer: str = ""
    metadata: dict[str, str] = {}


class Event(msgspec.Struct, frozen=True):
    """One event. Its id tells it from all others, and is its result's key."""

    id: Name
    #: When it happened, with a time zone.
    timestamp: Time
    event_type: Name
    #: Events of one user are handled in their order; of nobody, in any.
    user_id: Text = ""
    data: dict[str, Any] = {}
    context: EventContext = EventContext()


_decoder = msgspec.json.Decoder(Event)


def decoded(body: bytes, *, max_bytes: int) -> Event:
    """Return the event that was written. Raises `InvalidRequest` or `TooLarge`, saying why."""
    if len(body) > max_bytes:
        raise TooLarge(f"the event has {len(body)} bytes, at most {max_bytes} are taken")
    if not body:
        raise InvalidRequest("it is no event but empty; in Redis, events are in the field `body`")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the event is no event: {error}") from error


Steps = tuple[str, ...]

ROOTS = ("data", "context")
"""What a path may begin with."""
_CONTEXT = frozenset(EventContext.__struct_fields__)
_LOCATION = frozenset(Location.__struct_fields__)


def path_problem(path: str) -> str:
    """Return what keeps a text from being a path into an event; nothing, if nothing does."""
    root, *steps = path.split(".")
    if root not in ROOTS or not steps or not all(steps):
        return f"{path!r} is neither a feature (view:feature) nor a path (data.x, context.x)"
    if root == "context" and steps[0] not in _CONTEXT:
        return f"{path!r}: context has {', '.join(sorted(_CONTEXT))}"
    if steps[:1] == ["location"] and root == "context" and set(steps[1:]) - _LOCATION:
        return f"{path!r}: location has {', '.join(sorted(_LOCATION))}"
    return ""


def found(event: Event, steps: Steps) -> Any:
    """Return what is at a path in an event; None if nothing is."""
    at: Any = event
    for step in steps:
        if isinstance(at, dict):
            at = at.get(step)
        elif isinstance(at, msgspec.Struct):
            at = getattr(at, step, None)
        else:
            return None
    return at
