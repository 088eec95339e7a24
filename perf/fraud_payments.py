"""Payments of the shop, as requests, and what is known of whoever makes them, as Redis has it."""

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml

from inferd.app.translation import Translator
from inferd.cache.blobs import EARLIEST_STAMP
from inferd.features.aggregates.events import checked_event
from inferd.features.aggregates.views import AggregatedView
from inferd.features.definitions import US, Definitions
from inferd.features.windows import State
from inferd.features.writing import Limits
from inferd.streaming.events import Event, decoded
from inferd.v1 import fraud_pb2 as pb
from shop.vectors import COUNTED, DEFINITIONS
from shop.world import World, line

LIMITS = Limits(max_bytes=65_536, ahead_us=300 * US)
TOLD_OF = COUNTED | {"outcome"}


class Round(NamedTuple):
    """What is sent, and what is known before that."""

    requests: Sequence[bytes]
    rows: Sequence[tuple[str, bytes]]


class Payments:
    """The last payments of a world, and what the rest of it tells of their people."""

    def __init__(self, *, days: int, asked: int, now_us: int) -> None:
        """Replay all but the last `asked` payments, so that it ends now."""
        declared = yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))
        definitions = Definitions.read(declared, files_in=DEFINITIONS.parent)
        self._views = [
            AggregatedView(view, ahead_us=LIMITS.ahead_us)
            for view in definitions.views.values()
            if view.kind == "aggregated" and TOLD_OF.intersection(view.declared.events or ())
        ]
        self._translator = Translator(definitions)
        events = list(_happened(World.generate(days=days)))
        paid = [at for at, each in enumerate(events) if each.event_type == "transaction"]
        self._payments = [events[at] for at in paid[-asked:]]
        before = events[: paid[-asked]]
        self._shift_us = now_us - _us(before[-1])
        self._states: dict[str, State] = {}
        for event in before:
            self._learn(event)

    def __len__(self) -> int:
        return len(self._payments)

    def round(self, name: str, count: int, now_us: int) -> Round:
        """Return the first payments, made by people of whom no other round knows."""
        chosen = self._payments[:count]
        rows = {}
        for event in chosen:
            ids = {"user": event.user_id, **event.data}
            for view in self._views:
                id = ids[view.by]
                state = self._states.get(view.key(id))
                if state is not None:
                    rows[view.key(_renamed(name, id))] = state.encode(EARLIEST_STAMP)
        requests = [_request(each, name, now_us).SerializeToString() for each in chosen]
        return Round(requests, list(rows.items()))

    def _learn(self, event: Event) -> None:
        write = self._translator.streamed(event)
        assert write is not None
        fields = dict(write.fields)
        if "at_s" in fields:
            fields["at_s"] = event.data["at_s"] + self._shift_us / US
        event_us = write.event_us + self._shift_us
        write = write._replace(event_us=event_us, fields=fields)
        views = [each for each in self._views if each.takes(write.event.name)]
        checked = checked_event(write, views, now_us=event_us, limits=LIMITS, field="")
        for share in checked.shares:
            if share.key not in self._states:
                self._states[share.key] = State(share.of.plan)
            state = self._states[share.key]
            state.add(event_us, checked.event_id, share.values, now_us=event_us)


def _happened(world: World) -> Iterator[Event]:
    """Yield what is of fraud, in the order in which the shop gets to know it."""
    counted = (each for each in world.events() if each["event_type"] in COUNTED)
    for each in heapq.merge(counted, world.outcomes(), key=lambda it: str(it["timestamp"])):
        yield decoded(line(each).encode(), max_bytes=LIMITS.max_bytes)


def _request(event: Event, name: str, now_us: int) -> pb.AssessTransactionRequest:
    data = event.data
    transaction = pb.Transaction(
        id=f"{name}{event.id}",
        user_id=_renamed(name, event.user_id),
        currency=data["currency"],
        amount_minor=data["amount_minor"],
        merchant_id=_renamed(name, data["merchant"]),
        merchant_category=data["category"],
        card_id=_renamed(name, data["card"]),
        device_info=pb.DeviceInfo(id=_renamed(name, data["device"])),
        location={"latitude": data["latitude"], "longitude": data["longitude"]},
        country=data["country"],
        payment_method="card",
        time_us=now_us,
        metadata={
            "address": _renamed(name, data["address"]),
            "account_days": str(data["account_days"]),
        },
    )
    return pb.AssessTransactionRequest(transaction=transaction)


def _renamed(name: str, id: str) -> str:
    return "|".join(f"{name}{part}" for part in id.split("|"))


def _us(event: Event) -> int:
    return round(event.timestamp.timestamp() * US)
