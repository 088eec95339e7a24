"""What there is to buy, and from whom.

An item has a style, a point in the space of tastes, that nobody is told: what is said of it in
words, and who buys it, is all that there is to learn it from.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shop.clock import BEGIN, DAY
from shop.dice import Dice, Floats, Ints, exp
from shop.geography import WEIGHTS
from shop.words import BRANDS, COLOURS, DEPARTMENTS

TASTES: Final = 8
"""Dimensions of tastes and styles."""
PRODUCTS: Final = tuple(
    (department, product)
    for department, each in enumerate(DEPARTMENTS)
    for product in range(len(each.products))
)
"""Every product: its department, and its place there."""
NEW_ITEMS: Final = 0.15
"""This share of the items comes out while the world goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchants:
    """Who sells. Each in one department."""

    department: Ints
    city: Ints
    #: How much is bought from it.
    weight: Floats
    #: What somebody typical pays, in cents.
    typical_minor: Floats

    def __len__(self) -> int:
        return len(self.department)

    @classmethod
    def drawn(cls, dice: Dice, count: int) -> "Merchants":
        """Draw so many. Every department has some."""
        department = np.arange(count, dtype=np.int64) % len(DEPARTMENTS)
        prices = np.array([each.price_minor for each in DEPARTMENTS], dtype=np.float64)
        return cls(
            department=department,
            city=dice.chosen("city", WEIGHTS, count),
            weight=exp(dice.normal("weight", count)),
            typical_minor=prices[department] * exp(0.4 * dice.normal("price", count)) * 0.6,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """What is sold."""

    #: Its place in `PRODUCTS`.
    product: Ints
    merchant: Ints
    brand: Ints
    colour: Ints
    material: Ints
    phrase: Ints
    #: On the first day, in cents.
    price_minor: Ints
    stock: Ints
    #: The day on which it comes out; below zero: it was there before.
    released: Floats
    #: What is known to everybody, and ranks it.
    popularity: Floats
    style: Floats

    def __len__(self) -> int:
        return len(self.product)

    @classmethod
    def drawn(cls, dice: Dice, count: int, merchants: Merchants, days: int) -> "Items":
        """Draw so many, of all products."""
        product = np.arange(count, dtype=np.int64) % len(PRODUCTS)
        department = np.array([each for each, _ in PRODUCTS], dtype=np.int64)[product]
        prices = np.array([each.price_minor for each in DEPARTMENTS], dtype=np.float64)
        price = prices[department] * exp(0.55 * dice.normal("price", count))
        is_new = dice.chance("new", NEW_ITEMS, count)
        old, fresh = dice.between("old", -400, 0, count), dice.between("fresh", 0, days, count)
        brand = dice.below("brand", len(BRANDS), count)
        styles = dice.normal("brand style", len(BRANDS), TASTES)
        own = dice.normal("style", count, TASTES)
        return cls(
            product=product,
            merchant=_seller(dice, department, merchants),
            brand=brand,
            colour=dice.below("colour", len(COLOURS), count),
            material=dice.below("material", 4, count),
            phrase=dice.below("phrase", 4, count),
            # As shops price things: 49.90
            price_minor=np.maximum(1, np.rint(price / 100).astype(np.int64)) * 100 - 10,
            stock=dice.below("stock", 200, count),
            released=np.floor(np.where(is_new, fresh, old)),
            popularity=dice.normal("popularity", count),
            style=0.6 * styles[brand] + 0.8 * own,
        )

    def title(self, item: int) -> str:
        """Return what it is called."""
        department, place = PRODUCTS[self.product[item]]
        kind = DEPARTMENTS[department]
        what = f"{kind.materials[self.material[item]]} {kind.products[place]}"
        return f"{BRANDS[self.brand[item]]} {COLOURS[self.colour[item]]} {what}"

    def description(self, item: int) -> str:
        """Return what the shop says of it."""
        department, place = PRODUCTS[self.product[item]]
        kind = DEPARTMENTS[department]
        what = f"{kind.products[place].capitalize()} in {COLOURS[self.colour[item]]}"
        first, second = kind.phrases[self.phrase[item]], kind.phrases[(self.phrase[item] + 1) % 4]
        return f"{what}: {first}, {second}. {kind.materials[self.material[item]].capitalize()}."

    def row(self, item: int) -> dict[str, object]:
        """Return all that the shop says of an item, in the form of `inferd.v1.Item`."""
        department, _ = PRODUCTS[self.product[item]]
        kind = DEPARTMENTS[department]
        return {
            "id": item_name(item),
            "title": self.title(item),
            "description": self.description(item),
            "category": product_name(int(self.product[item])),
            "brand": BRANDS[self.brand[item]],
            "merchant": merchant_name(int(self.merchant[item])),
            "price_minor": int(self.price_minor[item]),
            "currency": "EUR",
            "stock": int(self.stock[item]),
            "released_us": BEGIN + int(self.released[item]) * DAY,
            "tags": [kind.name],
            "attributes": {
                "colour": {"text": COLOURS[self.colour[item]]},
                "material": {"text": kind.materials[self.material[item]]},
            },
        }


def item_name(item: int) -> str:
    """Return an item's id."""
    return f"i{item:05d}"


def merchant_name(merchant: int) -> str:
    """Return a merchant's id."""
    return f"m{merchant:03d}"


def product_name(product: int) -> str:
    """Return what one asks for who wants such a thing."""
    department, place = PRODUCTS[product]
    return DEPARTMENTS[department].products[place]


def _seller(dice: Dice, department: Ints, merchants: Merchants) -> Ints:
    """Return who sells each item: one of its department."""
    of_each = len(merchants) // len(DEPARTMENTS)
    return department + len(DEPARTMENTS) * dice.below("seller", of_each, len(department))
