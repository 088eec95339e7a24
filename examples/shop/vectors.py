"""What the server would have known of each payment just before it: what models learn from.

The events are replayed through the very parts that serve (`inferd.features.history`), so a model is
asked with what it learned from. Outcomes come when they are known, and not before.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from inferd.app.translation import Translator, selected
from inferd.features.definitions import Definitions
from inferd.features.history import History
from inferd.features.writing import Limits
from inferd.streaming.events import Event, decoded
from shop.clock import BEGIN, DAY, S
from shop.dice import Flags, Floats
from shop.world import World, line

DEFINITIONS: Final = Path(__file__).parent / "definitions.yaml"
LIMITS: Final = Limits(max_bytes=65_536, ahead_us=300_000_000)
COUNTED: Final = frozenset({"transaction", "login"})
"""Other events are of no view of fraud."""

SAID: Final = ("amount_minor", "account_days")
"""What a payment says of itself, and a model is told as it is."""
FEATURES: Final = (
    *(f"user_payments:count_{window}" for window in ("10m", "1h", "24h", "7d")),
    *(f"user_payments:spent_{window}" for window in ("1h", "24h", "7d")),
    *(f"user_payments:{name}" for name in ("cards_24h", "devices_24h", "merchants_24h")),
    "user_payments:addresses_7d",
    *("user_usual:count_30d", "user_usual:typical_30d"),
    *("user_logins:count_1h", "user_logins:devices_24h"),
    *(f"card_payments:{name}" for name in ("count_1h", "count_24h", "count_7d", "users_7d")),
    *(f"device_payments:count_{window}" for window in ("10m", "1h", "24h", "7d")),
    *(f"device_payments:{name}" for name in ("cards_1h", "cards_7d", "users_7d")),
    *(f"merchant_payments:count_{window}" for window in ("10m", "1h", "24h", "7d")),
    *("merchant_payments:users_24h", "merchant_payments:devices_24h"),
    *("device_novelty:payments_90d", "login_novelty:logins_90d"),
    "address_novelty:payments_90d",
    *("merchant_outcomes:fraud_rate_30d", "merchant_outcomes:fraud_rate_7d"),
    *("device_outcomes:frauds_30d", "card_outcomes:frauds_30d", "user_outcomes:frauds_30d"),
    *(f"user_unusual:{name}" for name in ("amount_ratio", "hurry", "hours", "distance_km")),
    "user_unusual:speed_kmh",
    *("merchant_unusual:amount_ratio", "device_age:is_new", "device_age:hours"),
)
"""What the server knows of it."""
NAMES: Final = (*SAID, *FEATURES)
"""In the order in which a model takes them."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """One row for each payment, in their order."""

    values: NDArray[np.float32]
    day: Floats
    is_fraud: Flags


def vectors(world: World) -> Vectors:
    """Replay a world."""
    asker = _Asker()
    rows = [row for event in _happened(world) if (row := asker.take(event)) is not None]
    return Vectors(np.array(rows, dtype=np.float32), world.day(), world.is_fraud)


class _Asker:
    """Asks what is known of a payment, and then records it."""

    def __init__(self) -> None:
        declared = yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))
        definitions = Definitions.read(declared, files_in=DEFINITIONS.parent)
        self._history = History(definitions, {}, limits=LIMITS)
        self._translator = Translator(definitions)
        self._selections = selected(definitions, FEATURES)

    def take(self, event: Event) -> list[float] | None:
        """Record an event; of a payment, return what was known before it."""
        row = self._row(event) if event.event_type == "transaction" else None
        write = self._translator.streamed(event)
        if write is not None:
            self._history.record(write)
        return row

    def _row(self, event: Event) -> list[float]:
        at_us = round(event.timestamp.timestamp() * S)
        said = self._translator.said(event)
        known: dict[str, Any] = dict(event.data)
        for each in self._selections:
            entity_id = self._translator.entity_id(each.parts[0].view, event)
            found = self._history.ask(each.lookups([entity_id], None, said), at_us)
            rows = [part.values for part in found]
            known |= {name: rows[part][at].value for name, part, at, _ in each.columns}
        return [_number(known[name]) for name in NAMES]


def _number(value: object) -> float:
    """Return what a model is given; 0 where there is nothing."""
    return float(value) if isinstance(value, int | float) else 0.0


def _happened(world: World) -> Iterator[Event]:
    """Yield what is of fraud, in the order in which the shop gets to know it."""
    counted = (each for each in world.events() if each["event_type"] in COUNTED)
    merged = heapq.merge(counted, world.outcomes(), key=lambda each: str(each["timestamp"]))
    last = world.days * DAY + BEGIN
    for each in merged:
        event = decoded(line(each).encode(), max_bytes=LIMITS.max_bytes)
        if event.timestamp.timestamp() * S >= last:
            return
        yield event
