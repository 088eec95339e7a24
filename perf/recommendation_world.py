"""A large shop: its items, what everybody did with them, what Redis knows, and who asks next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from fraud_payments import LIMITS
from inferd.app.translation import Translator
from inferd.cache import frames
from inferd.cache.blobs import EARLIEST_STAMP
from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.features.aggregates.events import checked_event
from inferd.features.aggregates.views import AggregatedView
from inferd.features.definitions import Definitions
from inferd.features.windows import State
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.content import item_inputs
from inferd.services.recommendation.vocabulary import Act
from inferd.streaming.events import decoded
from inferd.v1 import recommendation_pb2 as pb
from shop.clock import BEGIN, DAY, S
from shop.events import Json
from shop.recommending import Model, item_of
from shop.vectors import DEFINITIONS
from shop.world import SEED, World, line

VIEW = "user_recent"
AT_ONCE = 500
_ACTS: Mapping[str, Act] = {
    "page_view": Act.VIEW,
    "click": Act.CLICK,
    "cart": Act.CART,
    "purchase": Act.PURCHASE,
}


@dataclass(frozen=True, slots=True)
class Files:
    """What both sides read."""

    #: Items with their vectors, `inferd.v1.Item` in JSON, one a line.
    items: Path
    #: What everybody did, as `KeptBehaviour` writes it.
    behaviour: Path


class Shoppers:
    """A world that ends now, told to the parts that serve."""

    def __init__(self, *, items: int, users: int, days: int, now_us: int) -> None:
        self._world = World.generate(SEED, days, users=users, items=items)
        self._shift_us = now_us - (BEGIN + days * DAY)
        self._behaviour = Behaviour(BehaviourSettings(), max_items=items)
        declared = yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))
        definitions = Definitions.read(declared, files_in=DEFINITIONS.parent)
        self._translator = Translator(definitions)
        self._view = AggregatedView(definitions.views[VIEW], ahead_us=LIMITS.ahead_us)
        self._states: dict[str, State] = {}
        self._asking: dict[str, Json] = {}
        for event in self._world.events():
            self._happened(event)

    @property
    def rows(self) -> list[tuple[str, bytes]]:
        """What Redis knows: what every user did lately."""
        return [(key, state.encode(EARLIEST_STAMP)) for key, state in self._states.items()]

    def requests(self, count: int, *, cached: bool) -> Sequence[bytes]:
        """Return what users ask who did something, in the order in which they were there last.

        Unless `cached`, each list is to be made.
        """
        there = self._states.keys()
        known = [it for user, it in self._asking.items() if self._view.key(user) in there]
        rng = np.random.default_rng(count)
        chosen = [known[int(at)] for at in rng.integers(len(known), size=count)]
        return [_request(each, cached=cached) for each in chosen]

    def write(self, directory: Path, tower: bytes) -> Files:
        """Write what both sides read; vectors are what the tower of items makes."""
        items, behaviour = directory / "items.jsonl", directory / "behaviour"
        model, rows = Model(tower), list(self._world.catalogue())
        with items.open("w", encoding="ascii") as file:
            for begin in range(0, len(rows), AT_ONCE):
                these = rows[begin : begin + AT_ONCE]
                vectors = model(item_inputs([item_of(each) for each in these]))
                for row, vector in zip(these, vectors.tolist(), strict=True):
                    released_us = max(0, row["released_us"] + self._shift_us)
                    said = {**row, "released_us": released_us, "vector": vector}
                    file.write(json.dumps(said) + "\n")
        kept = frames.NewFile(behaviour)
        kept.write(self._behaviour.pieces())
        kept.finish()
        return Files(items, behaviour)

    def _happened(self, event: Json) -> None:
        data, user = event["data"], event["user_id"]
        said = decoded(line(event).encode(), max_bytes=LIMITS.max_bytes)
        at_us = round(said.timestamp.timestamp() * S) + self._shift_us
        for item in data.get("items", ()):
            self._behaviour.record(user, item, Act.IMPRESSION, at_us)
        if "items" in data:
            self._asking[user] = event
        if event["event_type"] not in _ACTS or "item" not in data:
            return
        self._behaviour.record(user, data["item"], _ACTS[event["event_type"]], at_us)
        write = self._translator.streamed(said)
        assert write is not None
        write = write._replace(event_us=at_us)
        checked = checked_event(write, [self._view], now_us=at_us, limits=LIMITS, field="")
        for share in checked.shares:
            if share.key not in self._states:
                self._states[share.key] = State(share.of.plan)
            state = self._states[share.key]
            state.add(at_us, checked.event_id, share.values, now_us=at_us)


def _request(event: Json, *, cached: bool) -> bytes:
    said = event["context"]
    context = pb.RecommendationContext(
        session_id=said["session_id"], page="home", device_type=said["device_type"]
    )
    request = pb.GetRecommendationsRequest(
        user_id=event["user_id"], context=context, skip_cache=not cached
    )
    return request.SerializeToString()
