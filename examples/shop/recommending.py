"""The shop's past, told to the parts that serve: the catalogue, what everybody does, histories.

Whoever asks for a moment is told what was known just before it, and nothing of what came after.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.cold_start import ColdStart
from inferd.services.recommendation.content import item_inputs
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.vocabulary import Act, Seen
from shop.browsing import SHOWN
from shop.catalogue import item_name
from shop.clock import BEGIN, DAY, day_of
from shop.dice import Flags, Floats, Ints, names
from shop.events import Kind
from shop.world import World

HISTORY: Final = 100
"""So many things that a user did are known, the newest (`user_history` in the definitions)."""

_ACTS: Final = {
    Kind.CLICK: Act.CLICK,
    Kind.ITEM: Act.VIEW,
    Kind.CART: Act.CART,
    Kind.PURCHASE: Act.PURCHASE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Impressions:
    """Everything that was shown, one row for each place of each list."""

    #: The list, [n]; its items are rows one after the other.
    list: Ints
    user: Ints
    item: Ints
    position: Ints
    day: Floats
    clicked: Flags
    is_random: Flags

    @classmethod
    def of(cls, world: World) -> "Impressions":
        """Take all of a world."""
        lists, clicks = world.browsing.lists, world.browsing.clicks
        count = len(lists.session)
        clicked = np.zeros((count, SHOWN), np.bool_)
        clicked[clicks.list, clicks.position] = True
        return cls(
            list=np.repeat(np.arange(count), SHOWN),
            user=np.repeat(world.browsing.sessions.user[lists.session], SHOWN),
            item=lists.items.reshape(-1),
            position=np.tile(np.arange(SHOWN), count),
            day=np.repeat(day_of(lists.time_us), SHOWN),
            clicked=clicked.reshape(-1),
            is_random=np.repeat(lists.is_random, SHOWN),
        )


def offers(world: World) -> list[Item]:
    """Return all items, as the catalogue of the server is told them."""
    return [item_of(each) for each in world.catalogue()]


def item_of(row: Mapping[str, Any]) -> Item:
    """Return an item as the shop writes it (`inferd.v1.Item` in JSON)."""
    attributes = {name: value["text"] for name, value in row["attributes"].items()}
    return Item(**{**row, "tags": tuple(row["tags"]), "attributes": attributes})


class Model:
    """A model, on one thread: the same numbers each time."""

    def __init__(self, file: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return its output."""
        (found,) = self._session.run(None, dict(inputs))
        return np.asarray(found, np.float32)


def stocked(items: list[Item], tower: Model) -> Catalogue:
    """Return a catalogue of items, each of them in the row of its number."""
    vectors = tower(item_inputs(items))
    catalogue = Catalogue(dimensions=vectors.shape[1], max_items=len(items))
    catalogue.upsert(items, vectors, BEGIN)
    return catalogue


class Moment(NamedTuple):
    """Somebody is about to be shown a list."""

    list: int
    """Its row in `Lists`."""
    user: int
    time_us: int
    profile: Profile


class Past:
    """Has what happened in a world happen again."""

    def __init__(
        self,
        world: World,
        catalogue: Catalogue,
        *,
        counts: bool = True,
        cold: ColdStart | None = None,
    ) -> None:
        """Without `counts`, nobody asks what everybody did. `cold` is told everything, too."""
        self._world = world
        self._counts = counts
        self._cold = cold
        self._categories = catalogue.table.category.tolist()
        settings = BehaviourSettings()
        #: What everybody did so far.
        self.behaviour = Behaviour(settings, max_items=catalogue.max_items)
        self._histories: defaultdict[int, deque[Seen]] = defaultdict(lambda: deque(maxlen=HISTORY))
        people = world.people
        self._users = names("u", np.arange(len(people)), world.seed)
        self._items = [item_name(item) for item in range(len(world.items))]

    def moments(self, from_day: float, until_day: float = math.inf) -> Iterator[Moment]:
        """Yield the moments in which lists were shown, on days from one up to another.

        What is asked of `behaviour` then is what was known then.
        """
        lists = self._world.browsing.lists
        users = self._world.browsing.sessions.user[lists.session].tolist()
        items = lists.items.tolist()
        clicks = self._world.browsing.clicks
        clickers = self._world.browsing.sessions.user[clicks.session].tolist()
        clicked = clicks.item.tolist()
        timeline = self._world.timeline
        columns = timeline.time_us, timeline.kind, timeline.row
        for time_us, kind, row in zip(*(each.tolist() for each in columns), strict=True):
            day = (time_us - BEGIN) / DAY
            if day >= until_day:
                return
            if kind == Kind.LIST:
                user = users[row]
                if day >= from_day:
                    yield Moment(row, user, time_us, self.profile(user))
                for item in items[row]:
                    self._record(user, item, Act.IMPRESSION, time_us)
            elif kind in _ACTS:
                self._record(clickers[row], clicked[row], _ACTS[kind], time_us)

    def profile(self, user: int) -> Profile:
        """Return what is known of a user now."""
        history = tuple(self._histories[user])
        return Profile(self._users[user], history, known=True)

    def _record(self, user: int, item: int, act: Act, at_us: int) -> None:
        if self._counts:
            self.behaviour.record(self._users[user], self._items[item], act, at_us)
        if self._cold is not None:
            self._cold.record(self._categories[item], act, at_us)
        if act is not Act.IMPRESSION:
            self._histories[user].appendleft(Seen(self._items[item], act, at_us))
