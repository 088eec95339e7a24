"""Who shops: where they live and travel, with what they pay, what they like.

Users, devices, cards and addresses are numbers here; a user has places for four devices, two cards
and eight addresses. What is a thief's has higher numbers. Outside they are all called by names
from which that cannot be told (`dice.names`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shop.catalogue import TASTES
from shop.clock import DAY, HOUR, at
from shop.dice import Bits, Dice, Flags, Floats, Ints, exp, mixed
from shop.geography import OFFSETS_H, WEIGHTS, is_near
from shop.words import DEPARTMENTS

DEVICES, CARDS, ADDRESSES = 4, 2, 8
"""Places for those of one user."""
NEVER: Final = np.int64(2**62)

NEW_USERS: Final = 0.2
"""This share of the users joins while the world goes on."""
HOLIDAYS: Final = 0.0025
"""The share of users who leave for a holiday, by the day."""
NEW_DEVICES: Final = 0.002
"""The share of users who get a new device, by the day."""
FLIGHT_US: Final = 24 * HOUR
"""Nobody shops so long before and after having left."""
TYPES: Final = ("phone", "desktop", "tablet")
_TYPE_BOUNDS: Final = np.array([55, 90], dtype=np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everybody who is honest, by number."""

    home: Ints
    joined_us: Ints
    #: Sessions a day.
    activity: Floats
    #: How much they pay for things, compared with others.
    spend: Floats
    #: How much they look at prices.
    thrift: Floats
    taste: Floats
    #: How often they are interested in each department; adds up to 1.
    interest: Floats
    #: From when the third device is used instead of the first; `NEVER`.
    new_device_us: Ints
    #: Away from home: first and last point in time, and where; `NEVER`.
    away_us: Ints
    back_us: Ints
    away_city: Ints
    #: From when on they are never seen again; `NEVER`.
    closed_us: Ints

    def __len__(self) -> int:
        return len(self.home)

    @classmethod
    def drawn(cls, dice: Dice, count: int, days: int) -> "People":
        """Draw so many."""
        home = dice.chosen("home", WEIGHTS, count)
        is_new = dice.chance("new", NEW_USERS, count)
        old, fresh = dice.between("old", -700, 0, count), dice.between("fresh", 0, days, count)
        interest = exp(1.3 * dice.normal("interest", count, len(DEPARTMENTS)))
        away_us, back_us, away_city = _holidays(dice.of("holiday"), home, days)
        return cls(
            home=home,
            joined_us=at(np.where(is_new, fresh, old)),
            activity=0.14 * exp(0.6 * dice.normal("activity", count)),
            spend=exp(0.5 * dice.normal("spend", count)),
            thrift=dice.between("thrift", 0.2, 1.6, count),
            taste=dice.normal("taste", count, TASTES) * 0.7,
            interest=interest / np.cumsum(interest, axis=1)[:, -1:],
            new_device_us=_sometimes(dice.of("device"), count, days, NEW_DEVICES),
            away_us=away_us,
            back_us=back_us,
            away_city=away_city,
            closed_us=np.full(count, NEVER),
        )

    def city(self, users: Ints, at_us: Ints) -> Ints:
        """Return where users are at a time."""
        away = (at_us >= self.away_us[users]) & (at_us < self.back_us[users])
        return np.where(away, self.away_city[users], self.home[users])

    def is_there(self, users: Ints, at_us: Ints) -> Flags:
        """Return which users have an account, and are not on the way."""
        leaving = np.abs(at_us - self.away_us[users]) < FLIGHT_US
        returning = np.abs(at_us - self.back_us[users]) < FLIGHT_US
        has_account = (at_us >= self.joined_us[users]) & (at_us < self.closed_us[users])
        there: Flags = has_account & ~leaving & ~returning
        return there

    def device(self, users: Ints, at_us: Ints, draw: Floats) -> Ints:
        """Return what users have in their hands: one time in six, the second device.

        One user in thirty shares it with another.
        """
        latest = np.where(at_us >= self.new_device_us[users], 2, 0)
        sharing = np.where(users % 30 == 29, users - 1, users)
        second = sharing * DEVICES + 1
        return np.where(draw < 1 / 6, second, users * DEVICES + latest)

    def card(self, users: Ints, draw: Floats) -> Ints:
        """Return what users pay with: one time in eight, the second card."""
        return users * CARDS + (draw < 1 / 8)


def device_types(devices: Ints) -> Ints:
    """Return of which of `TYPES` devices are."""
    bits: Bits = mixed(devices.astype(np.uint64) + np.uint64(1)) % np.uint64(100)
    return np.searchsorted(_TYPE_BOUNDS, bits, side="right").astype(np.int64)


def local(hours: Floats, cities: Ints) -> Floats:
    """Return hours of UTC for hours on the clocks of cities."""
    utc: Floats = hours - OFFSETS_H[cities]
    return utc


def _sometimes(dice: Dice, count: int, days: int, share: float) -> Ints:
    """Return a point in time for those to whom it happens, `NEVER` for the others."""
    happens = dice.chance("happens", np.float64(share * days), count)
    return np.where(happens, at(dice.between("day", 0, days, count)), NEVER)


def _holidays(dice: Dice, home: Ints, days: int) -> tuple[Ints, Ints, Ints]:
    """Return when users leave, when they are back, and where they are until then."""
    count = len(home)
    away = _sometimes(dice, count, days, HOLIDAYS)
    to = dice.below("to", len(WEIGHTS), count)
    away = np.where(is_near(home, to), NEVER, away)
    stay_us = (dice.between("long", 4, 12, count) * DAY).astype(np.int64)
    back = np.where(away == NEVER, NEVER, away + stay_us)
    return away, back, to
