"""What is known of a user, read in one go; nothing of it is worth a list that does not come.

The history is three lists of the same events: items, what was done, and when. Whatever keeps
features from being read, there is a profile: of somebody of whom nothing is known.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, cast

import msgspec

from inferd.call import Call
from inferd.config.recommendation.interactions import Interactions
from inferd.config.recommendation.profile import Profile as Settings
from inferd.config.resilience import Rung, Stage
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InferdError, Internal, TimedOut
from inferd.features.declaration import Feature
from inferd.features.definitions import Definitions, View
from inferd.features.kinds import Held
from inferd.features.online import OnlineFeatures
from inferd.features.suggestions import nearest
from inferd.features.values import Found, Lookup, Status
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.resilience.endpoint import Answer, Endpoint
from inferd.services.recommendation.profile import Profile, anonymous
from inferd.services.recommendation.vocabulary import Act, Seen

PROFILE, READ, ANONYMOUS, PARTLY = "profile", "features", "anonymous", "partly"
"""The stage, its rungs, and what it is called when some features are lacking."""

_PLAIN = ("int64", "float64", "bool", "string")
_HISTORY = {"items": "", "acts": "event.name", "times": "event.time_us"}
"""The lists of a history, and what of events they must be of."""


Reads = Callable[[Answer, str], Coroutine[Any, Any, Profile]]
"""Reads the profile of a user for an answer."""


class Known(NamedTuple):
    """What was read of a user."""

    profile: Profile
    #: Whether some of it could not be.
    partly: bool = False


class ProfileReading:
    """Reads profiles. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        interactions: Interactions,
        definitions: Definitions,
        online: OnlineFeatures,
    ) -> None:
        """`interactions` say which events are what. Of what is declared, `problems` has none."""
        self._settings = settings
        self._acts = {it.event: Act[act.upper()] for act, it in interactions.events.items()}
        self._online = online
        wanted: dict[View, list[str]] = {}
        for variable in dict.fromkeys(_variables(settings).values()):
            view, _, feature = variable.partition(".")
            wanted.setdefault(definitions.views[view], []).append(feature)
        self._parts = [
            (view, view.places_of(names, field="features"), [f"{view.name}.{it}" for it in names])
            for view, names in wanted.items()
        ]
        self._history = definitions.views[settings.items.partition(".")[0]]
        self._lists = [it for key, it in _variables(settings).items() if key in _HISTORY]

    def stage_of(self, endpoint: Endpoint) -> Reads:
        """Return what reads a profile as a stage (`stage`) of an endpoint. It never fails."""
        read = endpoint.stage(PROFILE, features=self.read, anonymous=_nobody)

        async def profile(answer: Answer, user_id: str) -> Profile:
            try:
                known = await read(answer, user_id)
            except Exception as error:  # there is a list nevertheless
                reason = error.reason if isinstance(error, InferdError) else Internal.reason
                answer.degrade(Degradation(PROFILE, ABSENT, reason))
                return anonymous(user_id)
            if known.partly:
                answer.degrade(Degradation(PROFILE, PARTLY, TimedOut.reason))
            return known.profile

        return profile

    async def read(self, call: Call, deadline: Deadline, user_id: str) -> Known:
        """Return what is known of a user. Raises `InferdError` where the history is not."""
        lookups = [Lookup(view, user_id, places) for view, places, _ in self._parts]
        found = await self._online.fetch(call, deadline, lookups)
        if any(
            each.status is Status.TIMED_OUT and each.lookup.view is self._history for each in found
        ):
            raise DependencyFailed("what users did lately could not be read")
        return self._known(user_id, found)

    def _known(self, user_id: str, found: Sequence[Found]) -> Known:
        values: dict[str, Held | None] = {}
        partly = False
        for (_, _, names), each in zip(self._parts, found, strict=True):
            for name, value in zip(names, each.values, strict=True):
                values[name] = value.value
                partly |= value.status is Status.TIMED_OUT
        profile = Profile(
            user_id=user_id,
            history=self._seen(values),
            values={name: _plain(values[it]) for name, it in self._settings.features.items()},
            stamp=_stamp([values[each] for each in self._lists], found),
            known=True,
        )
        return Known(profile, partly)

    def _seen(self, values: Mapping[str, Held | None]) -> tuple[Seen, ...]:
        it = self._settings
        items, acts = _texts(values[it.items]), _texts(values[it.acts])
        whats = map(self._acts.get, acts)
        if it.times is None:
            pairs = zip(items, whats, strict=True)
            return tuple([Seen(item, act, 0) for item, act in pairs if act is not None])
        rows = zip(items, whats, map(int, _texts(values[it.times])), strict=True)
        return tuple([Seen(item, act, at_us) for item, act, at_us in rows if act is not None])


def stage(settings: Settings) -> Stage:
    """Return the stage unless the configuration has one."""
    ladder = (Rung(name=READ, cap_ms=settings.timeout_ms), Rung(name=ANONYMOUS, seed_ms=0.05))
    return Stage(name=PROFILE, ladder=ladder)


def problems(settings: Settings, definitions: Definitions) -> Iterable[str]:
    """Yield what cannot be read of users, each with its key."""
    entity = definitions.entities.get(settings.entity)
    if entity is None:
        near = nearest(settings.entity, definitions.entities)
        yield f"entity: there is no entity {settings.entity}; {near}"
        return
    if entity.id != "string":
        yield f"entity: ids of {entity.name} are {entity.id}, and those of users are texts"
    history: dict[str, Feature] = {}
    for key, variable in _variables(settings).items():
        view_name, _, name = variable.partition(".")
        view = definitions.views.get(view_name)
        if view is None:
            yield f"{key}: there is no view {view_name}; {nearest(view_name, definitions.views)}"
        elif view.entity is not entity:
            yield f"{key}: view {view_name} is of {view.entity.name}, not of {entity.name}"
        elif name not in view.places:
            yield f"{key}: view {view_name} has no feature {name}; {nearest(name, view.places)}"
        elif key in _HISTORY:
            history[key] = view.features[view.places[name]]
        elif (kind := view.features[view.places[name]].type).name not in _PLAIN:
            yield f"{key}: it is {kind}, and a profile has numbers and texts"
    yield from _apart(settings, history)


def _apart(settings: Settings, history: Mapping[str, Feature]) -> Iterable[str]:
    """Yield which lists are none, or are not of the events that the items are of."""
    items = history.get("items")
    for key, feature in history.items():
        it, of = feature.aggregate, _HISTORY[key]
        if it is None or it.count is None:
            yield f"{key}: it is no list of the newest events"
        elif feature.default:
            yield f"{key}: somebody new did nothing, and it has a default"
        elif of and it.of != of:
            yield f"{key}: it is of {it.of}, not of {of}"
        elif items is not None and items.aggregate is not None:
            first = _variables(settings)[key].partition(".")[0], it.count, it.window
            other = settings.items.partition(".")[0], items.aggregate.count, items.aggregate.window
            if first != other:
                yield f"{key}: view, count or window are not those of items"


def _variables(settings: Settings) -> dict[str, str]:
    """Return all that is read, by its key."""
    history = {"items": settings.items, "acts": settings.acts}
    if settings.times is not None:
        history["times"] = settings.times
    return {**history, **{f"features.{name}": it for name, it in settings.features.items()}}


def _stamp(history: Sequence[Held | None], found: Sequence[Found]) -> int:
    """Return 63 bits that are others after an interaction, and the same as long as there is none.

    What time does to features does not count: it is no news, and answers are not kept for long.
    """
    said = msgspec.msgpack.encode((history, [each.event_us for each in found]))
    return int.from_bytes(blake2b(said, digest_size=8).digest()) >> 1


def _texts(value: Held | None) -> tuple[str, ...]:
    # They are texts, as `problems` makes sure.
    return cast("tuple[str, ...]", value) if isinstance(value, tuple) else ()


def _plain(value: Held | None) -> float | str | None:
    return (
        float(value)
        if isinstance(value, int | float)
        else value
        if isinstance(value, str)
        else None
    )


async def _nobody(call: Call, deadline: Deadline, user_id: str) -> Known:
    return Known(anonymous(user_id))
