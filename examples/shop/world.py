"""The world: everything that there is and happens in it, and the truth about it.

Events and outcomes are what a shop gets to know. The truth is what nobody does: which payments are
fraud, and which only look like it; what people really like. It is for measuring, and for labels.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from shop import crime, payments
from shop.browsing import EXAMINED, SHOWN, Browsing, browse, relevance
from shop.catalogue import Items, Merchants, item_name, merchant_name
from shop.clock import DAY, day_of
from shop.dice import Dice, Flags, Floats, Ints, names
from shop.events import Json, Kind, Timeline, Writer, event_id, times
from shop.geography import CITIES
from shop.payments import LookAlike, Pattern, Payments
from shop.people import People
from shop.tables import joined
from shop.words import DEPARTMENTS

SEED = 7
DAYS = 60
USERS, ITEMS, MERCHANTS = 2000, 5000, 120

SETTLED_DAYS = 14
"""After so many, a payment of which nobody complained is taken for good."""
UNNOTICED = 0.05
"""This share of the fraud is never reported."""


@dataclass(frozen=True)
class World:
    """A shop, from its first day to its last."""

    seed: int
    days: int
    people: People
    merchants: Merchants
    items: Items
    browsing: Browsing
    payments: Payments
    logins: crime.Logins
    timeline: Timeline

    @classmethod
    def generate(
        cls, seed: int = SEED, days: int = DAYS, *, users: int = USERS, items: int = ITEMS
    ) -> "World":
        """Make a world. At least a week, 100 users and 1,000 items, or `ValueError`."""
        if days < 7 or users < 100 or items < 1000:
            raise ValueError("a world has at least 7 days, 100 users and 1000 items")
        dice = Dice(seed)
        merchants = Merchants.drawn(dice.of("merchants"), MERCHANTS)
        wares = Items.drawn(dice.of("items"), items, merchants, days)
        people, busts = crime.bust_outs(
            dice.of("bust"), People.drawn(dice.of("people"), users, days), days
        )
        browsing = browse(dice.of("browsing"), people, wares, days)
        good = payments.honest(
            dice.of("payments"),
            people=people,
            items=wares,
            merchants=merchants,
            browsing=browsing,
            days=days,
        )
        bad = crime.commit(dice.of("crime"), people, merchants, good=good, busts=busts, days=days)
        everything = joined([good, bad.payments])
        return cls(
            seed=seed,
            days=days,
            people=people,
            merchants=merchants,
            items=wares,
            browsing=browsing,
            payments=everything,
            logins=bad.logins,
            timeline=Timeline.of(browsing, everything, bad.logins, days),
        )

    def events(self) -> Iterator[Json]:
        """Yield all events, in the order in which they happen."""
        parts = self.items, self.browsing, self.payments, self.logins
        return Writer(self.seed, *parts).events(self.timeline)

    @cached_property
    def places(self) -> Ints:
        """Where payments are in the timeline, in their order there."""
        return np.nonzero(self.timeline.kind == Kind.TRANSACTION)[0].astype(np.int64)

    @cached_property
    def transactions(self) -> Ints:
        """The rows of `payments`, in the order of the timeline."""
        return self.timeline.row[self.places]

    @cached_property
    def pattern(self) -> Ints:
        """What payments are (`Pattern`), in the order of the timeline."""
        return self.payments.pattern[self.transactions]

    @property
    def is_fraud(self) -> Flags:
        """Whether payments are fraud, in the order of the timeline."""
        fraud: Flags = self.pattern != Pattern.NONE
        return fraud

    def outcomes(self) -> Iterator[Json]:
        """Yield what banks say of payments, in the order in which they do.

        Some of it they say after the last day. What is never reported counts as good.
        """
        known_us, reported = self._reports()
        rows, places = self.transactions.tolist(), self.places.tolist()
        columns = self.payments
        users, devices = names("u", columns.user, self.seed), names("d", columns.device, self.seed)
        cards = names("c", columns.card, self.seed)
        stamps = times(known_us)
        for each in np.argsort(known_us, kind="stable").tolist():
            row = rows[each]
            yield {
                "id": f"o{places[each]:07d}",
                "timestamp": stamps[each],
                "user_id": users[row],
                "event_type": "outcome",
                "data": {
                    "transaction": event_id(places[each]),
                    "merchant": merchant_name(int(columns.merchant[row])),
                    "device": devices[row],
                    "card": cards[row],
                    "fraud": float(reported[each]),
                },
            }

    def _reports(self) -> tuple[Ints, Flags]:
        """Return when an outcome is known of payments, and whether it is that they are fraud."""
        dice, count = Dice(self.seed, "outcomes"), len(self.transactions)
        reported = self.is_fraud & ~dice.chance("unnoticed", UNNOTICED, count)
        waits = np.where(reported, dice.between("delay", 1, 10, count), float(SETTLED_DAYS))
        paid_us = self.payments.time_us[self.transactions]
        return paid_us + (waits * DAY).astype(np.int64), reported

    def truth(self) -> Iterator[Json]:
        """Yield the truth about payments, in the order of the timeline."""
        seems = self.payments.look_alike[self.transactions].tolist()
        rows = zip(self.places.tolist(), self.pattern.tolist(), seems, strict=True)
        for place, pattern, look_alike in rows:
            yield {
                "id": event_id(place),
                "fraud": pattern != Pattern.NONE,
                "pattern": Pattern(pattern).name.lower(),
                "look_alike": LookAlike(look_alike).name.lower(),
            }

    def relevance(self) -> Floats:
        """Return how likely what was shown was to be liked: [lists, places]."""
        lists = self.browsing.lists
        users = np.repeat(self.browsing.sessions.user[lists.session], SHOWN)
        liked = relevance(self.people, self.items, users, lists.items.reshape(-1))
        return liked.reshape(-1, SHOWN)

    def true_lists(self) -> Iterator[Json]:
        """Yield what was shown, with how likely it was to be liked, and to be looked at."""
        liked = np.round(self.relevance(), 6).tolist()
        for place in np.nonzero(self.timeline.kind == Kind.LIST)[0].tolist():
            row = int(self.timeline.row[place])
            yield {"id": event_id(place), "relevance": liked[row], "examined": list(EXAMINED)}

    def catalogue(self) -> Iterator[Json]:
        """Yield all items, as the shop knows them."""
        return (self.items.row(item) for item in range(len(self.items)))

    def sellers(self) -> Iterator[Json]:
        """Yield all merchants, as the shop knows them."""
        for number, department in enumerate(self.merchants.department.tolist()):
            country = CITIES[self.merchants.city[number]].country
            name = DEPARTMENTS[department].name
            yield {"id": merchant_name(number), "category": name, "country": country}

    def customers(self) -> Iterator[Json]:
        """Yield users, as the shop knows them."""
        people = self.people
        ids = names("u", np.arange(len(people)), self.seed)
        for user, (name, joined_at) in enumerate(zip(ids, times(people.joined_us), strict=True)):
            home = CITIES[people.home[user]]
            yield {"id": name, "country": home.country, "city": home.name, "joined": joined_at}

    def true_users(self) -> Iterator[Json]:
        """Yield what users like."""
        people = self.people
        for user, name in enumerate(names("u", np.arange(len(people)), self.seed)):
            interest = zip(DEPARTMENTS, np.round(people.interest[user], 6).tolist(), strict=True)
            yield {
                "id": name,
                "taste": np.round(people.taste[user], 6).tolist(),
                "thrift": round(float(people.thrift[user]), 6),
                "interest": {department.name: share for department, share in interest},
            }

    def true_items(self) -> Iterator[Json]:
        """Yield what items are like."""
        for item, style in enumerate(np.round(self.items.style, 6).tolist()):
            yield {"id": item_name(item), "style": style}

    def day(self) -> Floats:
        """Return the day of each payment, in the order of the timeline."""
        return day_of(self.payments.time_us[self.transactions])


def line(it: Json) -> str:
    """Return one line of JSON: the same bytes for the same event, wherever it is written."""
    return json.dumps(it, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def checksum(events: Iterator[Json], most: int) -> str:
    """Return what tells the first events of one world from those of another."""
    digest = blake2b(digest_size=16)
    for _, event in zip(range(most), events, strict=False):
        digest.update(line(event).encode() + b"\n")
    return digest.hexdigest()
