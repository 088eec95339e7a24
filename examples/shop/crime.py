"""Who pays with what is not theirs, or never means to pay: four patterns of fraud.

Each is about a quarter of all, which is one payment in a hundred. They change with the days, as
thieves learn what is noticed: card testers try larger amounts, and those who take accounts over
come more often from the victim's own city.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from shop.catalogue import Merchants
from shop.clock import BEGIN, DAY, HOUR, MINUTE, S, at, day_of
from shop.dice import Dice, Floats, Ints, exp
from shop.geography import CITIES, around
from shop.payments import NO_SESSION, Bursts, Pattern, Payments, merchants_of, paid
from shop.people import ADDRESSES, CARDS, DEVICES, People
from shop.tables import joined, taken
from shop.words import DEPARTMENTS

#: So many in a million days of users.
BURSTS: Final = 80
TAKEOVERS: Final = 300
BUST_OUTS: Final = 130
RINGS: Final = 42

ACCOUNTS: Final = 2
"""That card testers make for each burst."""
MEMBERS: Final = 6
"""Accounts in a ring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """Logins that thieves make."""

    time_us: Ints
    user: Ints
    device: Ints
    city: Ints
    latitude: Floats
    longitude: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Crime:
    """What thieves do."""

    payments: Payments
    logins: Logins


def bust_outs(dice: Dice, people: People, days: int) -> tuple[People, Bursts]:
    """Decide whose accounts are there to be run up, and when; they are not seen afterwards."""
    start_us = _often(dice, BUST_OUTS, people, days)
    count = len(start_us)
    user = dice.some("user", count, len(people))
    # An account has to be good for a while.
    start_us = np.maximum(start_us, people.joined_us[user] + 8 * DAY)
    bursts = Bursts(start_us=start_us, user=user, count=4 + dice.below("count", 6, count))
    closed_us = people.closed_us.copy()
    closed_us[user] = start_us + 40 * HOUR
    return replace(people, closed_us=closed_us), bursts


def commit(
    dice: Dice,
    people: People,
    merchants: Merchants,
    *,
    good: Payments,
    busts: Bursts,
    days: int,
) -> Crime:
    """Let thieves pay. `good` is what honest people pay: some of them are robbed."""
    takeovers, logins = _takeovers(dice.of("takeover"), people, merchants, good, days)
    parts = [
        _card_testing(dice.of("testing"), people, merchants, days),
        takeovers,
        _bust_out(dice.of("bust"), people, merchants, busts),
        _collusion(dice.of("ring"), people, merchants, days),
    ]
    return Crime(payments=joined(parts), logins=logins)


def accounts(people: People, days: int) -> int:
    """Return how many accounts there are, with those that card testers make."""
    return len(people) + ACCOUNTS * _count(BURSTS, people, days)


def _count(often: float, people: People, days: int) -> int:
    return max(1, round(often * len(people) * days / 1_000_000))


def _often(dice: Dice, often: float, people: People, days: int) -> Ints:
    """Return points in time, one in each of as many equal parts of all days."""
    count = _count(often, people, days)
    return at((np.arange(count) + dice.uniform("when", count)) * days / count)


def _card_testing(dice: Dice, people: People, merchants: Merchants, days: int) -> Payments:
    """Try stolen cards: many cards, small amounts, one device, one merchant, in minutes."""
    start_us = _often(dice, BURSTS, people, days)
    bursts = Bursts(
        start_us=start_us,
        user=len(people) + ACCOUNTS * np.arange(len(start_us), dtype=np.int64),
        count=6 + dice.below("count", 8, len(start_us)),
    )
    of, number = bursts.spread()
    count = len(of)
    time_us = start_us[of] + number * 25 * S + dice.below("time", 20 * S, count)
    user = bursts.user[of] + dice.below("account", ACCOUNTS, count)
    most = 250 + 12 * np.maximum(0, day_of(time_us))
    city = dice.below("city", len(CITIES), len(start_us))[of]
    return _stolen(
        dice,
        Pattern.CARD_TESTING,
        time_us=time_us,
        user=user,
        card=CARDS * (len(people) + 1000) + np.arange(count, dtype=np.int64),
        device=_tools(people, 0) + of,
        merchant=dice.below("merchant", len(merchants), len(start_us))[of],
        address=user * ADDRESSES,
        city=city,
        amount_minor=50 + dice.uniform("amount", count) * most,
        joined_us=(start_us - dice.below("old", 2 * DAY, len(start_us)) - 10 * MINUTE)[of],
    )


def _takeovers(
    dice: Dice, people: People, merchants: Merchants, good: Payments, days: int
) -> tuple[Payments, Logins]:
    """Pay with somebody's account soon after they did: another device, mostly from far away."""
    order = np.argsort(good.time_us, kind="stable")
    when = _often(dice, TAKEOVERS, people, days)
    attacks = len(when)
    last = order[np.minimum(np.searchsorted(good.time_us[order], when), len(order) - 1)]
    victim = good.user[last]
    start_us = good.time_us[last] + dice.below("wait", 50 * MINUTE, attacks) + 10 * MINUTE
    hides = dice.chance("hides", 0.05 + 0.6 * day_of(start_us) / days, attacks)
    abroad = dice.below("city", len(CITIES), attacks)
    city = np.where(hides, people.home[victim], abroad)
    # A device is used for two attacks.
    device = _tools(people, 1) + np.arange(attacks, dtype=np.int64) // 2
    bursts = Bursts(start_us=start_us, user=victim, count=1 + dice.below("count", 4, attacks))
    of, number = bursts.spread()
    count = len(of)
    merchant = merchants_of(_worth_it(dice, count), merchants, dice.uniform("merchant", count))
    amount = merchants.typical_minor[merchant] * exp(0.7 + 0.5 * dice.normal("amount", count))
    keeps_address = dice.chance("address", 0.25, attacks)[of]
    drop = ADDRESSES * (len(people) + 1000) + np.arange(attacks, dtype=np.int64)[of]
    payments = _stolen(
        dice,
        Pattern.TAKEOVER,
        time_us=start_us[of] + number * 6 * MINUTE + dice.below("time", 5 * MINUTE, count),
        user=victim[of],
        card=victim[of] * CARDS,
        device=device[of],
        merchant=merchant,
        address=np.where(keeps_address, victim[of] * ADDRESSES, drop),
        city=city[of],
        amount_minor=amount,
        joined_us=people.joined_us[victim[of]],
    )
    latitude, longitude = _around(dice.of("login"), city)
    before_us = MINUTE + dice.below("login", 3 * MINUTE, attacks)
    logins = Logins(
        time_us=start_us - before_us,
        user=victim,
        device=device,
        city=city,
        latitude=latitude,
        longitude=longitude,
    )
    return payments, logins


def _bust_out(dice: Dice, people: People, merchants: Merchants, bursts: Bursts) -> Payments:
    """Run an account up: one's own, within a day and a half, for what can be sold again."""
    of, number = bursts.spread()
    count = len(of)
    pause_us = 36 * HOUR // 10
    time_us = bursts.start_us[of] + number * pause_us + dice.below("time", pause_us, count)
    merchant = merchants_of(_worth_it(dice, count), merchants, dice.uniform("merchant", count))
    rising = 0.5 + 0.15 * number + 0.4 * dice.normal("amount", count)
    payments = paid(
        dice.of("paid"),
        people,
        user=bursts.user[of],
        merchant=merchant,
        time_us=time_us,
        amount_minor=merchants.typical_minor[merchant] * exp(rising),
    )
    nothing = np.zeros(count, dtype=np.int64)
    return replace(payments, pattern=nothing + Pattern.BUST_OUT, look_alike=nothing)


def _collusion(dice: Dice, people: People, merchants: Merchants, days: int) -> Payments:
    """Buy nothing from a merchant who is in it: a few accounts, few devices, even amounts."""
    start_us = _often(dice, RINGS, people, days)
    rings = len(start_us)
    count = 12 + dice.below("count", 14, rings)
    bursts = Bursts(start_us=start_us, user=np.zeros(rings, dtype=np.int64), count=count)
    of, number = bursts.spread()
    members = dice.some("members", rings * MEMBERS, len(people)).reshape(rings, MEMBERS)
    user = members[of, dice.below("member", MEMBERS, len(of))]
    merchant = dice.some("merchant", rings, len(merchants))
    begin_us = BEGIN + (start_us - BEGIN) // DAY * DAY
    day = np.floor(number * 8 / count[of]).astype(np.int64)
    time_us = begin_us[of] + day * DAY + 9 * HOUR + dice.below("time", 9 * HOUR, len(of))
    made = _stolen(
        dice,
        Pattern.COLLUSION,
        time_us=time_us,
        user=user,
        card=user * CARDS,
        device=_tools(people, 2) + 2 * of + dice.below("device", 2, len(of)),
        merchant=merchant[of],
        address=user * ADDRESSES,
        city=merchants.city[merchant][of],
        amount_minor=100 * (149 + np.floor(50 * dice.uniform("amount", len(of)))),
        joined_us=people.joined_us[user],
    )
    return taken(made, time_us >= people.joined_us[user])


def _worth_it(dice: Dice, count: int) -> Ints:
    """Draw departments for what they are worth to a thief."""
    return dice.chosen("department", [each.resale for each in DEPARTMENTS], count)


def _tools(people: People, pattern: int) -> int:
    """Return the first of the devices of a pattern's thieves."""
    return DEVICES * (len(people) + 100_000 * (1 + pattern))


def _stolen(
    dice: Dice,
    pattern: Pattern,
    *,
    time_us: Ints,
    user: Ints,
    card: Ints,
    device: Ints,
    merchant: Ints,
    address: Ints,
    city: Ints,
    amount_minor: Floats,
    joined_us: Ints,
) -> Payments:
    count = len(time_us)
    latitude, longitude = _around(dice, city)
    nothing = np.zeros(count, dtype=np.int64)
    return Payments(
        time_us=time_us,
        user=user,
        card=card,
        device=device,
        merchant=merchant,
        address=address,
        city=city,
        latitude=latitude,
        longitude=longitude,
        amount_minor=np.maximum(50, np.floor(amount_minor)).astype(np.int64),
        joined_us=joined_us,
        session=nothing + NO_SESSION,
        pattern=nothing + pattern,
        look_alike=nothing,
    )


def _around(dice: Dice, city: Ints) -> tuple[Floats, Floats]:
    """Return places around cities."""
    return around(city, dice.uniform("north", len(city)), dice.uniform("east", len(city)))
