"""The two towers: where items and users are, so that an inner product says who likes what.

First, users and items are factorised together, from what was shown and clicked: the log odds of an
item being liked are u . v + b. An item's part (v, b) is made of its words, and of what is its own,
which is learnt only as far as it was shown: regression-based latent factors (Agarwal and Chen
2009), fitted by Newton's method, one side after the other. That a place is not looked at is made up
for by its propensity (Joachims et al. 2017), which the lists in random order tell; of what was not
clicked, it counts how likely it was looked at (Wang et al. 2018).

Then a linear model learns from later days to tell users' part from what they did.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferd.services.recommendation.content import CONTENT_WIDTH
from shop.dice import Flags, Floats, Ints

FACTORS: Final = 8
ROUNDS, MORE_ROUNDS = 16, 4
DESCENTS: Final = 30
PRIOR_USER, PRIOR_ITEM, PRIOR_WORD = 2.0, 2.0, 100.0
"""How far from what is to be expected it costs to be."""
PRIOR_TOLD: Final = 3.0
SURE: Final = 12.0
"""Log odds, at most: beyond, likelihood bends no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Items that were shown to users, by their numbers, all of one length."""

    user: Ints
    item: Ints
    clicked: Flags
    #: How likely the place was looked at.
    examined: Floats


class Factors(NamedTuple):
    """What items are, in factors and log odds, [..., FACTORS + 1]."""

    words: Floats
    """By word, [CONTENT_WIDTH, ...]."""
    usual: Floats
    """Of an item without words."""
    own: Floats
    """By item, what is in no word; 0 for items that were never shown."""

    def of(self, content: NDArray[np.float32]) -> Floats:
        """Return what all items are."""
        return self.usual + content @ self.words + self.own


def propensities(clicked: Flags, position: Ints) -> Floats:
    """Return how likely each place is looked at, of lists in random order; the first has 1."""
    rates = np.bincount(position, clicked) / np.bincount(position)
    found: Floats = np.minimum(rates / rates[0], 1.0)
    return found


def factorised(
    shown: Shown, content: NDArray[np.float32], users: int, begin: "Factors | None" = None
) -> Factors:
    """Return what items are, of what was shown; `content` is that of all items.

    With what was found before to `begin` with, factors keep their meaning.
    """
    items, wide = len(content), FACTORS + 1
    used = np.flatnonzero(content.any(axis=0))
    words = content[:, used].astype(np.float64)
    level = words[:, -1].mean()
    words[:, -1] -= level  # the price: what is usual is then that of an item of the usual price
    if begin is None:
        weights = np.random.default_rng(0).normal(size=(len(used), wide)) * 0.3
        own, usual = np.zeros((items, wide)), np.append(np.zeros(FACTORS), -2.0)
    else:
        weights, own = begin.words[used], begin.own
        usual = begin.usual + level * begin.words[-1]
    people = np.zeros((users, wide))
    for _ in range(ROUNDS if begin is None else MORE_ROUNDS):
        of = usual + words @ weights + own
        # A user has a tendency to click of their own, beside the factors.
        seen = np.concatenate([of[shown.item, :-1], np.ones((len(shown.item), 1))], axis=1)
        base = of[shown.item, -1]
        odds = base + (people[shown.user] * seen).sum(axis=1)
        curve, target = _newton(odds, shown)
        squares, sums = _normal(shown.user, users, seen, curve, target - base)
        people = _solved(squares, sums, PRIOR_USER)
        odds = base + (people[shown.user] * seen).sum(axis=1)
        curve, target = _newton(odds, shown)
        # Seen from the item, factors of the user are given, and its own odds count fully.
        given = np.concatenate([people[shown.user, :-1], np.ones((len(shown.item), 1))], axis=1)
        rest = target - people[shown.user, -1] - given @ usual
        squares, sums = _normal(shown.item, items, given, curve, rest)
        weights = _word_weights(words, squares, sums - _times(squares, own), weights)
        left = sums - _times(squares, words @ weights)
        own = _solved(squares, left, PRIOR_ITEM)
    full = np.zeros((CONTENT_WIDTH, wide))
    full[used] = weights
    return Factors(full, usual - level * full[-1], own)


def told_users(
    told: NDArray[np.float32], which: Ints, shown: Shown, of_items: Floats
) -> tuple[Floats, Floats]:
    """Return the linear model from what is told of users to their factors: weights and offsets.

    `told` [m, width] is what was told at m times, `which` [n] says at which of them was shown what.
    """
    inputs = np.concatenate([told.astype(np.float64), np.ones((len(told), 1))], axis=1)
    width = inputs.shape[1]
    of = of_items[shown.item]
    weights: Floats = np.zeros((width, FACTORS))
    tendency = 0.0
    for _ in range(3):
        odds = tendency + of[:, -1] + ((inputs @ weights)[which] * of[:, :-1]).sum(axis=1)
        curve, target = _newton(odds, shown)
        tendency += float((curve * (target - odds)).sum() / curve.sum())
        squares, sums = _normal(
            which, len(inputs), of[:, :-1], curve, target - tendency - of[:, -1]
        )
        system = _crossed(inputs, squares) + PRIOR_TOLD * np.eye(width * FACTORS)
        solved = np.linalg.solve(system, (inputs.T @ sums).reshape(-1))
        weights = solved.reshape(width, FACTORS).astype(np.float64, copy=False)
    return weights[:-1], weights[-1]


def _newton(odds: Floats, shown: Shown) -> tuple[Floats, Floats]:
    """Return how sharply the likelihood bends at these log odds, and where it would be best."""
    odds = np.clip(odds, -SURE, SURE)
    liked = 1 / (1 + np.exp(-odds))
    looked = shown.examined * (1 - liked) / (1 - shown.examined * liked)
    counts = np.where(shown.clicked, 1.0, looked)
    curve = np.maximum(counts * liked * (1 - liked), 1e-4)
    return curve, odds + counts * (shown.clicked - liked) / curve


def _normal(
    keys: Ints, count: int, columns: Floats, curve: Floats, target: Floats
) -> tuple[Floats, Floats]:
    """Return the normal equations of each key: [count, k, k] and [count, k]."""
    wide = columns.shape[1]
    squares, sums = np.zeros((count, wide, wide)), np.zeros((count, wide))
    for one in range(wide):
        weighed = curve * columns[:, one]
        sums[:, one] = np.bincount(keys, weighed * target, minlength=count)
        for other in range(one + 1):
            both = np.bincount(keys, weighed * columns[:, other], minlength=count)
            squares[:, one, other] = squares[:, other, one] = both
    return squares, sums


def _solved(squares: Floats, sums: Floats, prior: float) -> Floats:
    """Return what solves each key's equations, [count, k]."""
    system = squares + prior * np.eye(sums.shape[1])
    return np.linalg.solve(system, sums[:, :, None])[:, :, 0].astype(np.float64, copy=False)


def _times(squares: Floats, vectors: Floats) -> Floats:
    found: Floats = np.einsum("nij,nj->ni", squares, vectors)
    return found


def _word_weights(words: Floats, squares: Floats, sums: Floats, start: Floats) -> Floats:
    """Return the weights of words that fit all items best, by conjugate gradients."""

    def system(weights: Floats) -> Floats:
        found: Floats = words.T @ _times(squares, words @ weights) + PRIOR_WORD * weights
        return found

    weights = start
    left = words.T @ sums - system(weights)
    step, size = left, float((left * left).sum())
    for _ in range(DESCENTS):
        along = system(step)
        far = size / float((step * along).sum())
        weights, left = weights + far * step, left - far * along
        before, size = size, float((left * left).sum())
        step = left + (size / before) * step
    return weights


def _crossed(inputs: Floats, squares: Floats) -> Floats:
    """Return the sum over rows of the products of inputs, times the squares of the row."""
    width, wide = inputs.shape[1], squares.shape[1]
    system = np.zeros((width, wide, width, wide))
    for one in range(wide):
        for other in range(one + 1):
            block = inputs.T @ (inputs * squares[:, one, other, None])
            system[:, one, :, other] = block
            system[:, other, :, one] = block
    return system.reshape(width * wide, width * wide)
