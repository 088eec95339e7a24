"""From what happened to events: in their order, as JSON has them, without the truth.

They are events of streams (protos/inferd/v1/streaming.proto). What is declared of them in
`definitions.yaml` is in their `data`; the rest of `data` is for those who train models.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from shop.browsing import Browsing
from shop.catalogue import Items, item_name, merchant_name, product_name
from shop.clock import BEGIN, DAY, S
from shop.crime import Logins
from shop.dice import Ints, names
from shop.geography import CITIES, around
from shop.payments import INFLATION, Payments
from shop.people import TYPES, device_types
from shop.words import BRANDS, COLOURS, DEPARTMENTS

CURRENCY = "EUR"
AGENTS = ("ShopApp/4.2 (Mobile)", "Mozilla/5.0 (Desktop)", "Mozilla/5.0 (Tablet)")

Json = dict[str, Any]
Columns = Mapping[str, list[Any]]


class Kind(IntEnum):
    """What can happen. Of what happens in one microsecond, the first comes first."""

    LOGIN = 0
    STOLEN_LOGIN = 1
    HOME = 2
    LIST = 3
    CLICK = 4
    ITEM = 5
    CART = 6
    TRANSACTION = 7
    PURCHASE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What happens, in the order in which it does."""

    time_us: Ints
    kind: Ints
    #: Of the table that the kind is of.
    row: Ints

    def __len__(self) -> int:
        return len(self.time_us)

    @classmethod
    def of(cls, browsing: Browsing, payments: Payments, logins: Logins, days: int) -> "Timeline":
        """Put everything into one order; what is later than all days is left out."""
        sessions, lists, clicks = browsing.sessions, browsing.lists, browsing.clicks
        carts, bought = np.nonzero(clicks.in_cart)[0], np.nonzero(clicks.is_bought)[0]
        entering = np.nonzero(sessions.logs_in)[0]
        all_clicks = np.arange(len(clicks.item))
        parts = [
            (Kind.LOGIN, sessions.start_us[entering], entering),
            (Kind.STOLEN_LOGIN, logins.time_us, np.arange(len(logins.user))),
            (Kind.HOME, sessions.start_us + 3 * S, np.arange(len(sessions.user))),
            (Kind.LIST, lists.time_us, np.arange(len(lists.session))),
            (Kind.CLICK, clicks.time_us, all_clicks),
            (Kind.ITEM, clicks.time_us + S, all_clicks),
            (Kind.CART, clicks.cart_us[carts], carts),
            (Kind.TRANSACTION, payments.time_us, np.arange(len(payments.user))),
            (Kind.PURCHASE, clicks.buy_us[bought], bought),
        ]
        time_us = np.concatenate([time for _, time, _ in parts])
        kind = np.concatenate([np.full(len(rows), kind, np.int64) for kind, _, rows in parts])
        row = np.concatenate([rows for _, _, rows in parts])
        order = np.lexsort((row, kind, time_us))
        order = order[(time_us[order] >= BEGIN) & (time_us[order] < BEGIN + days * DAY)]
        return cls(time_us=time_us[order], kind=kind[order], row=row[order])


def event_id(place: int) -> str:
    """Return the id of the event at a place of the timeline."""
    return f"e{place:07d}"


def times(time_us: Ints) -> list[str]:
    """Return points in time as RFC 3339 has them."""
    written = np.datetime_as_string(time_us.astype("datetime64[us]"))
    return [f"{each}Z" for each in written.tolist()]


class Writer:
    """Makes JSON of events."""

    def __init__(
        self,
        seed: int,
        items: Items,
        browsing: Browsing,
        payments: Payments,
        logins: Logins,
    ) -> None:
        self._items = items
        self._prices = items.price_minor.tolist()
        self._departments = [DEPARTMENTS[department].name for department in range(len(DEPARTMENTS))]
        self._sessions = _sessions(browsing, seed)
        self._lists: Columns = {
            "session": browsing.lists.session.tolist(),
            "product": browsing.lists.product.tolist(),
            "is_search": browsing.lists.is_search.tolist(),
            "is_random": browsing.lists.is_random.tolist(),
            "wording": browsing.lists.wording.tolist(),
            "items": browsing.lists.items.tolist(),
        }
        self._clicks: Columns = {
            "list": browsing.clicks.list.tolist(),
            "position": browsing.clicks.position.tolist(),
            "session": browsing.clicks.session.tolist(),
            "item": browsing.clicks.item.tolist(),
            "quantity": browsing.clicks.quantity.tolist(),
        }
        self._payments = _payments(payments, seed)
        self._logins = _logins(logins, seed)
        self._list_ids: dict[int, str] = {}

    def events(self, timeline: Timeline) -> Iterator[Json]:
        """Yield all events, in their order."""
        stamps = times(timeline.time_us)
        self._list_ids = {
            row: event_id(place)
            for place, (kind, row) in enumerate(
                zip(timeline.kind.tolist(), timeline.row.tolist(), strict=True)
            )
            if kind == Kind.LIST
        }
        make = [
            *(self._login, self._stolen_login, self._home, self._list, self._click),
            *(self._item, self._cart, self._transaction, self._purchase),
        ]
        columns = timeline.kind, timeline.row, timeline.time_us
        rows = zip(*(each.tolist() for each in columns), strict=True)
        for place, (kind, row, time_us) in enumerate(rows):
            name, user, data, context = make[kind](row, time_us)
            yield {
                "id": event_id(place),
                "timestamp": stamps[place],
                "user_id": user,
                "event_type": name,
                "data": data,
                "context": context,
            }

    def _login(self, row: int, time_us: int) -> tuple[str, str, Json, Json]:
        return _entered(self._sessions, row, time_us)

    def _stolen_login(self, row: int, time_us: int) -> tuple[str, str, Json, Json]:
        return _entered(self._logins, row, time_us)

    def _home(self, row: int, _time_us: int) -> tuple[str, str, Json, Json]:
        return self._in_session("page_view", row, {"page": "home"})

    def _list(self, row: int, _time_us: int) -> tuple[str, str, Json, Json]:
        of = self._lists
        product = of["product"][row]
        shown = [item_name(item) for item in of["items"][row]]
        ranking = "random" if of["is_random"][row] else "popular"
        data: Json = {"items": shown, "ranking": ranking}
        if of["is_search"][row]:
            data["query"] = query_of(product, of["wording"][row])
            return self._in_session("search", of["session"][row], data)
        data |= {"page": "category", "category": product_name(product)}
        return self._in_session("page_view", of["session"][row], data)

    def _click(self, row: int, _time_us: int) -> tuple[str, str, Json, Json]:
        of = self._clicks
        data: Json = {
            **self._of_item(row),
            "position": of["position"][row],
            "list": self._list_ids.get(of["list"][row], ""),
        }
        if self._lists["is_search"][of["list"][row]]:
            place = of["list"][row]
            data["query"] = query_of(self._lists["product"][place], self._lists["wording"][place])
        return self._in_session("click", of["session"][row], data)

    def _item(self, row: int, _time_us: int) -> tuple[str, str, Json, Json]:
        data = {"page": "item", **self._of_item(row)}
        return self._in_session("page_view", self._clicks["session"][row], data)

    def _cart(self, row: int, time_us: int) -> tuple[str, str, Json, Json]:
        return self._in_session("cart", self._clicks["session"][row], self._priced(row, time_us))

    def _purchase(self, row: int, time_us: int) -> tuple[str, str, Json, Json]:
        data = self._priced(row, time_us - S)
        return self._in_session("purchase", self._clicks["session"][row], data)

    def _transaction(self, row: int, time_us: int) -> tuple[str, str, Json, Json]:
        of = self._payments
        amount = of["amount_minor"][row]
        data: Json = {name: of[name][row] for name in _SAID}
        data |= {
            "category": self._departments[of["department"][row]],
            "amount_minor": amount,
            "amount": amount / 100,
            "currency": CURRENCY,
            "country": of["country"][row],
            "account_days": round((time_us - of["joined_us"][row]) / DAY, 3),
            "at_s": time_us / S,
        }
        return "transaction", of["user"][row], data, _context(of, row)

    def _of_item(self, row: int) -> Json:
        item = self._clicks["item"][row]
        return {"item": item_name(item), "product": product_name(int(self._items.product[item]))}

    def _priced(self, row: int, time_us: int) -> Json:
        """Return what is said of an item that is wanted; the price is the day's."""
        day = (time_us - BEGIN) / DAY
        price = int(self._prices[self._clicks["item"][row]] * (1 + INFLATION * max(0.0, day)))
        quantity = self._clicks["quantity"][row]
        return {
            **self._of_item(row),
            "quantity": quantity,
            "amount_minor": price * quantity,
            "amount": price * quantity / 100,
            "currency": CURRENCY,
        }

    def _in_session(self, name: str, row: int, data: Json) -> tuple[str, str, Json, Json]:
        of = self._sessions
        return name, of["user"][row], data, _context(of, row)


_SAID = (
    *("card", "device", "merchant", "address", "user_device", "user_address"),
    *("latitude", "longitude"),
)


def _sessions(browsing: Browsing, seed: int) -> Columns:
    it = browsing.sessions
    latitude, longitude = around(it.city, it.north, it.east)
    return {
        "user": names("u", it.user, seed),
        "device": names("d", it.device, seed),
        "type": device_types(it.device).tolist(),
        "session": names("s", np.arange(len(it.user)), seed),
        "latitude": latitude.tolist(),
        "longitude": longitude.tolist(),
        "country": [CITIES[city].country for city in it.city.tolist()],
    }


def _logins(it: Logins, seed: int) -> Columns:
    return {
        "user": names("u", it.user, seed),
        "device": names("d", it.device, seed),
        "type": device_types(it.device).tolist(),
        "session": names("s", np.arange(len(it.user)) + 2**40, seed),
        "latitude": it.latitude.tolist(),
        "longitude": it.longitude.tolist(),
        "country": [CITIES[city].country for city in it.city.tolist()],
    }


def _payments(it: Payments, seed: int) -> Columns:
    user, device = names("u", it.user, seed), names("d", it.device, seed)
    address = names("a", it.address, seed)
    sessions = np.where(it.session < 0, 2**41 + np.arange(len(it.user)), it.session)
    return {
        "user": user,
        "card": names("c", it.card, seed),
        "device": device,
        "address": address,
        "user_device": [f"{one}|{other}" for one, other in zip(user, device, strict=True)],
        "user_address": [f"{one}|{other}" for one, other in zip(user, address, strict=True)],
        "merchant": [merchant_name(each) for each in it.merchant.tolist()],
        # Merchants have their departments in turn.
        "department": (it.merchant % len(DEPARTMENTS)).tolist(),
        "type": device_types(it.device).tolist(),
        "session": names("s", sessions, seed),
        "latitude": it.latitude.tolist(),
        "longitude": it.longitude.tolist(),
        "country": [CITIES[city].country for city in it.city.tolist()],
        "amount_minor": it.amount_minor.tolist(),
        "joined_us": it.joined_us.tolist(),
    }


def _entered(of: Columns, row: int, time_us: int) -> tuple[str, str, Json, Json]:
    user, device = of["user"][row], of["device"][row]
    data: Json = {
        "device": device,
        "user_device": f"{user}|{device}",
        "country": of["country"][row],
        "at_s": time_us / S,
    }
    return "login", user, data, _context(of, row)


def _context(of: Columns, row: int) -> Json:
    kind = of["type"][row]
    return {
        "session_id": of["session"][row],
        "device_type": TYPES[kind],
        "location": {"latitude": of["latitude"][row], "longitude": of["longitude"][row]},
        "user_agent": AGENTS[kind],
    }


def query_of(product: int, wording: int) -> str:
    """Return what somebody asks for; one time in sixteen, with two letters the wrong way round."""
    what, which = product_name(product), wording // 4
    words = [what, f"{COLOURS[which % 8]} {what}", f"{BRANDS[which].lower()} {what}", what]
    query = words[wording % 4]
    if wording % 16 == 15:
        query = query[0] + query[2] + query[1] + query[3:]
    return query
