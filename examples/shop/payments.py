"""Who pays whom, and honestly: what was bought in a session, and what is paid in passing.

Much of it looks like fraud and is none: holidays, gifts to addresses that nobody has seen before,
sprees, many small payments in a row, new devices, devices of several people, relays.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from shop.browsing import Browsing
from shop.catalogue import Items, Merchants
from shop.clock import BEGIN, BY_HOUR, DAY, HOUR, MINUTE, S, day_of
from shop.dice import Dice, Flags, Floats, Ints, exp
from shop.geography import around
from shop.people import ADDRESSES, DEVICES, People, local
from shop.tables import joined
from shop.words import DEPARTMENTS

GIFTS: Final = 0.04
SPREES: Final = 1 / 4000
"""By user and day; and as many rows of small payments."""
IN_PASSING: Final = 1.2
"""Payments in passing, for each session."""
INFLATION: Final = 0.0006
"""By the day."""
NO_SESSION: Final = -1


class Pattern(IntEnum):
    """What kind of fraud a payment is."""

    NONE = 0
    CARD_TESTING = 1
    TAKEOVER = 2
    BUST_OUT = 3
    COLLUSION = 4


class LookAlike(IntEnum):
    """Why an honest payment looks as if it were none."""

    NONE = 0
    HOLIDAY = 1
    RELAYED = 2
    NEW_DEVICE = 3
    SHARED_DEVICE = 4
    GIFT = 5
    SPREE = 6
    SMALL_CHANGE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Payments:
    """Payments, and the truth about them."""

    time_us: Ints
    user: Ints
    card: Ints
    device: Ints
    merchant: Ints
    address: Ints
    #: Where it seems to come from.
    city: Ints
    latitude: Floats
    longitude: Floats
    #: In cents.
    amount_minor: Ints
    #: When the account was made.
    joined_us: Ints
    session: Ints
    pattern: Ints
    look_alike: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Payments of one user that follow each other."""

    start_us: Ints
    user: Ints
    count: Ints

    def spread(self) -> tuple[Ints, Ints]:
        """Return the burst of each payment, and its number in it, from 0."""
        of = np.repeat(np.arange(len(self.count), dtype=np.int64), self.count)
        return of, np.arange(len(of)) - np.repeat(np.cumsum(self.count) - self.count, self.count)


def honest(
    dice: Dice,
    *,
    people: People,
    items: Items,
    merchants: Merchants,
    browsing: Browsing,
    days: int,
) -> Payments:
    """Let people pay."""
    parts = [
        _bought(dice.of("bought"), people, items, browsing),
        _in_passing(dice.of("passing"), people, merchants, days),
        _spree(dice.of("spree"), people, merchants, days),
        _small_change(dice.of("change"), people, merchants, days),
    ]
    return joined(parts)


def _bought(dice: Dice, people: People, items: Items, browsing: Browsing) -> Payments:
    """Pay for what was bought in sessions, a second before it is: `Clicks.buy_us`."""
    clicks, sessions = browsing.clicks, browsing.sessions
    rows = np.nonzero(clicks.is_bought)[0]
    session, item, time_us = clicks.session[rows], clicks.item[rows], clicks.buy_us[rows] - S
    price = items.price_minor[item] * (1 + INFLATION * np.maximum(0, day_of(time_us)))
    city = sessions.city[session]
    latitude, longitude = around(city, sessions.north[session], sessions.east[session])
    user, device = sessions.user[session], sessions.device[session]
    address, is_gift = _address(dice, user)
    relayed = sessions.is_relayed[session]
    seems = look_alikes(people, user, device, time_us, is_gift=is_gift, is_relayed=relayed)
    return Payments(
        time_us=time_us,
        user=user,
        card=sessions.card[session],
        device=device,
        merchant=items.merchant[item],
        address=address,
        city=city,
        latitude=latitude,
        longitude=longitude,
        amount_minor=np.floor(price).astype(np.int64) * clicks.quantity[rows],
        joined_us=people.joined_us[user],
        session=session,
        pattern=np.zeros(len(rows), dtype=np.int64),
        look_alike=seems,
    )


def paid(
    dice: Dice,
    people: People,
    *,
    user: Ints,
    merchant: Ints,
    time_us: Ints,
    amount_minor: Floats,
    look_alike: LookAlike = LookAlike.NONE,
) -> Payments:
    """Return payments as their users make them: where they are, with what is theirs."""
    count = len(user)
    device = people.device(user, time_us, dice.uniform("device", count))
    city = people.city(user, time_us)
    north, east = dice.uniform("north", count), dice.uniform("east", count)
    latitude, longitude = around(city, north, east)
    address, is_gift = _address(dice, user)
    direct = np.zeros(count, dtype=np.bool_)
    seems = look_alikes(people, user, device, time_us, is_gift=is_gift, is_relayed=direct)
    return Payments(
        time_us=time_us,
        user=user,
        card=people.card(user, dice.uniform("card", count)),
        device=device,
        merchant=merchant,
        address=address,
        city=city,
        latitude=latitude,
        longitude=longitude,
        amount_minor=np.maximum(50, np.floor(amount_minor)).astype(np.int64),
        joined_us=people.joined_us[user],
        session=np.full(count, NO_SESSION, dtype=np.int64),
        pattern=np.zeros(count, dtype=np.int64),
        look_alike=np.where(look_alike > 0, np.int64(look_alike), seems),
    )


def look_alikes(
    people: People, user: Ints, device: Ints, time_us: Ints, *, is_gift: Flags, is_relayed: Flags
) -> Ints:
    """Return what honest payments may be taken for."""
    away = (time_us >= people.away_us[user]) & (time_us < people.back_us[user])
    since_us = time_us - people.new_device_us[user]
    is_new = (device % DEVICES == 2) & (since_us < 2 * DAY)
    seems = np.zeros(len(user), dtype=np.int64)
    seems[device // DEVICES != user] = LookAlike.SHARED_DEVICE
    seems[is_gift] = LookAlike.GIFT
    seems[is_new] = LookAlike.NEW_DEVICE
    seems[away] = LookAlike.HOLIDAY
    seems[is_relayed] = LookAlike.RELAYED
    return seems


def merchants_of(departments: Ints, merchants: Merchants, draw: Floats) -> Ints:
    """Return a merchant of each department, large ones more often."""
    of_each = len(merchants) // len(DEPARTMENTS)
    weights = merchants.weight[: of_each * len(DEPARTMENTS)].reshape(of_each, -1).T
    sums = np.cumsum(weights, axis=1)[departments]
    place: Ints = np.argmax(draw[:, None] * sums[:, -1:] < sums, axis=1)
    return departments + len(DEPARTMENTS) * place


def _address(dice: Dice, user: Ints) -> tuple[Ints, Flags]:
    """Return home addresses, now and then those of somebody who gets a gift."""
    is_gift = dice.chance("gift", GIFTS, len(user))
    other = 1 + dice.below("address", ADDRESSES - 1, len(user))
    return user * ADDRESSES + np.where(is_gift, other, 0), is_gift


def _in_passing(dice: Dice, people: People, merchants: Merchants, days: int) -> Payments:
    """Draw payments without a session, at most two a day."""
    chance = np.minimum(people.activity * (IN_PASSING / 1.25), 0.9)[None, :, None]
    chance = chance * np.array([1.0, 0.25])
    day, user, _ = np.nonzero(dice.uniform("days", days, len(people), 2) < chance)
    hour = dice.chosen("hour", BY_HOUR, len(day)) + dice.uniform("minute", len(day))
    time_us = BEGIN + day * DAY + (local(hour, people.home[user]) * HOUR).astype(np.int64)
    there = people.is_there(user, time_us)
    user, time_us = user[there].astype(np.int64), time_us[there]
    sums = np.cumsum(people.interest[user], axis=1)
    department = np.argmax(dice.uniform("department", len(user))[:, None] * sums[:, -1:] < sums, 1)
    merchant = merchants_of(
        department.astype(np.int64), merchants, dice.uniform("merchant", len(user))
    )
    amount = merchants.typical_minor[merchant] * people.spend[user]
    amount = amount * exp(0.6 * dice.normal("amount", len(user)))
    amount = amount * (1 + INFLATION * np.maximum(0, day_of(time_us)))
    return paid(dice, people, user=user, merchant=merchant, time_us=time_us, amount_minor=amount)


def _bursts(dice: Dice, people: People, days: int, low: int, high: int) -> Bursts:
    """Draw when somebody at home pays `low` to `high - 1` times in a row, in the afternoon."""
    count = max(1, round(len(people) * days * SPREES))
    day = (np.arange(count) + dice.uniform("day", count)) * days / count
    user = dice.below("user", len(people), count)
    start_us = BEGIN + np.floor(day).astype(np.int64) * DAY
    start_us = start_us + (dice.between("hour", 11, 20, count) * HOUR).astype(np.int64)
    at_home = people.is_there(user, start_us) & (people.city(user, start_us) == people.home[user])
    each = low + dice.below("each", high - low, count)
    return Bursts(start_us=start_us[at_home], user=user[at_home], count=each[at_home])


def _spree(dice: Dice, people: People, merchants: Merchants, days: int) -> Payments:
    bursts = _bursts(dice, people, days, 6, 15)
    of, number = bursts.spread()
    count = len(of)
    time_us = bursts.start_us[of] + number * 9 * MINUTE + dice.below("time", 8 * MINUTE, count)
    department = dice.below("department", len(DEPARTMENTS), count)
    merchant = merchants_of(department, merchants, dice.uniform("merchant", count))
    user = bursts.user[of]
    amount = merchants.typical_minor[merchant] * people.spend[user]
    amount = amount * exp(0.3 + 0.5 * dice.normal("amount", count))
    return paid(
        dice.of("paid"),
        people,
        user=user,
        merchant=merchant,
        time_us=time_us,
        amount_minor=amount,
        look_alike=LookAlike.SPREE,
    )


def _small_change(dice: Dice, people: People, merchants: Merchants, days: int) -> Payments:
    """Draw rows of small payments to one merchant: somebody plays a game."""
    bursts = _bursts(dice, people, days, 5, 14)
    of, number = bursts.spread()
    count = len(of)
    time_us = bursts.start_us[of] + number * 80 * S + dice.below("time", 60 * S, count)
    merchant = dice.below("merchant", len(merchants), len(bursts.count))[of]
    return paid(
        dice.of("paid"),
        people,
        user=bursts.user[of],
        merchant=merchant,
        time_us=time_us,
        amount_minor=99 + 100 * dice.below("amount", 5, count).astype(np.float64),
        look_alike=LookAlike.SMALL_CHANGE,
    )
