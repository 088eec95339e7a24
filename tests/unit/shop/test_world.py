"""The same seed is the same world; events come in order, and do not tell the truth."""

import re
from collections import Counter, defaultdict
from itertools import islice, pairwise

import numpy as np
import pytest

from inferd.streaming.events import decoded
from shop.clock import DAY, S
from shop.events import Json
from shop.payments import LookAlike, Pattern
from shop.world import World, checksum, line

FIRST = 1000
CHECKSUM = "1cc167cb0c5c7269b1887f44fa991cb8"
"""Of the first events of the default world. It changes only with what is written here."""

TYPES = {"login", "page_view", "search", "click", "cart", "transaction", "purchase"}


def transactions(events: list[Json]) -> list[Json]:
    return [each for each in events if each["event_type"] == "transaction"]


def test_the_first_events_are_the_same_on_every_machine(world: World) -> None:
    assert checksum(world.events(), FIRST) == CHECKSUM


def test_a_seed_is_one_world_and_another_seed_another() -> None:
    def small(seed: int) -> str:
        return checksum(World.generate(seed, 8, users=200, items=1000).events(), 5000)

    assert small(1) == small(1)
    assert small(1) != small(2)


@pytest.mark.parametrize(("days", "users", "items"), [(6, 200, 1000), (8, 99, 1000), (8, 200, 999)])
def test_a_world_that_is_too_small_is_refused(days: int, users: int, items: int) -> None:
    with pytest.raises(ValueError, match="at least 7 days, 100 users and 1000 items"):
        World.generate(1, days, users=users, items=items)


def test_there_are_events_of_all_types_in_order_and_with_ids_of_their_own(
    world: World, events: list[Json]
) -> None:
    assert 180_000 < len(events) < 320_000
    assert {each["event_type"] for each in events} == TYPES
    assert all(one["timestamp"] <= other["timestamp"] for one, other in pairwise(events))
    assert len({each["id"] for each in events}) == len(events)
    span_us = int(world.timeline.time_us[-1] - world.timeline.time_us[0])
    assert 0.99 * world.days * DAY < span_us < world.days * DAY


def test_streams_take_every_type_of_event_as_it_is_written(events: list[Json]) -> None:
    for event in islice(events, 3000):
        it = decoded(line(event).encode(), max_bytes=4096)
        assert (it.id, it.event_type, it.user_id) == (
            event["id"],
            event["event_type"],
            event["user_id"],
        )
        assert it.context.location is not None


def test_money_is_in_cents_beside_a_float(events: list[Json]) -> None:
    for event in transactions(events):
        data = event["data"]
        assert type(data["amount_minor"]) is int
        assert data["amount_minor"] >= 50
        assert data["amount"] == data["amount_minor"] / 100
        assert data["currency"] == "EUR"


def test_what_is_bought_was_paid_a_second_before(events: list[Json]) -> None:
    paid: dict[str, list[Json]] = defaultdict(list)
    for event in transactions(events):
        paid[event["context"]["session_id"]].append(event)

    bought = [each for each in events if each["event_type"] == "purchase"]

    alone = [each for each in bought if not paid[each["context"]["session_id"]]]
    assert len(alone) <= 1  # paid before the first day
    for purchase in bought[10:]:
        (payment,) = paid[purchase["context"]["session_id"]]
        assert payment["data"]["amount_minor"] == purchase["data"]["amount_minor"]
        later = np.datetime64(purchase["timestamp"][:-1]) - np.datetime64(payment["timestamp"][:-1])
        assert later == np.timedelta64(S, "us")


def test_every_transaction_has_a_truth_and_an_outcome(world: World, events: list[Json]) -> None:
    ids = [each["id"] for each in transactions(events)]

    assert [each["id"] for each in world.truth()] == ids
    assert sorted(each["data"]["transaction"] for each in world.outcomes()) == ids


def test_one_payment_in_a_hundred_is_fraud_of_four_patterns(world: World) -> None:
    counts = Counter(world.pattern.tolist())
    total = len(world.pattern)

    assert 0.008 < 1 - counts[Pattern.NONE] / total < 0.013
    for pattern in Pattern:
        if pattern:
            assert 0.0015 < counts[pattern] / total < 0.0045, pattern.name


@pytest.mark.parametrize("pattern", [each for each in Pattern if each])
def test_every_pattern_is_there_in_the_first_half_and_in_the_last_quarter(
    world: World, pattern: Pattern
) -> None:
    days = world.day()[world.pattern == pattern]

    assert (days < world.days / 2).sum() >= 10
    assert (days > world.days * 0.75).sum() >= 10


def test_honest_payments_look_like_fraud_in_every_way_there_is(world: World) -> None:
    seems = Counter(world.payments.look_alike[world.transactions][~world.is_fraud].tolist())

    assert all(seems[each] >= 50 for each in LookAlike), seems
    # Together they are more than the fraud.
    assert len(world.pattern) - seems[LookAlike.NONE] - world.is_fraud.sum() > world.is_fraud.sum()


def test_no_event_has_a_key_or_a_word_of_the_truth(world: World, events: list[Json]) -> None:
    words = [each.name.lower() for each in (*Pattern, *LookAlike) if each]
    telling = re.compile("|".join(["fraud", "label", "truth", "stolen", "victim", *words]))

    some = [*transactions(events), *events[::20]]
    assert not [text for text in map(line, some) if telling.search(text)]


def test_names_do_not_tell_whose_they_are(world: World, events: list[Json]) -> None:
    fraud = world.is_fraud
    for name in ("card", "device", "address"):
        ids = [each["data"][name] for each in transactions(events)]
        assert all(re.fullmatch("[acd][0-9a-f]{12}", each) for each in ids)
        numbers = np.array([int(each[1:], 16) for each in ids], dtype=np.float64) / 16**12
        # What a thief has is anywhere among them: the mean of uniform numbers, within 4 sigmas.
        unique = np.unique(numbers[fraud])
        assert abs(unique.mean() - 0.5) < 4 / np.sqrt(12 * len(unique))


def test_fraud_and_honest_payments_say_the_same_things(world: World, events: list[Json]) -> None:
    payments = transactions(events)

    assert len({(*each["data"], *each["context"]) for each in payments}) == 1
    assert all(len(each["context"]["session_id"]) == 13 for each in payments)


def test_outcomes_are_late_and_miss_some_fraud(world: World) -> None:
    truth = {each["id"]: each["fraud"] for each in world.truth()}
    paid_us = dict(zip(truth, world.timeline.time_us[world.places].tolist(), strict=True))
    reported, stamps = [], []
    for outcome in world.outcomes():
        told_us = int(np.datetime64(outcome["timestamp"][:-1], "us").astype(np.int64))
        about = outcome["data"]["transaction"]
        assert DAY <= told_us - paid_us[about] <= 14 * DAY
        stamps.append(told_us)
        if outcome["data"]["fraud"]:
            reported.append(about)

    assert stamps == sorted(stamps)
    assert all(truth[each] for each in reported)
    assert 0.9 < len(reported) / sum(truth.values()) < 1
