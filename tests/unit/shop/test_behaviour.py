"""What people and thieves do can be seen in the events; what changes, too."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.features.compute.transforms import compiled
from inferd.features.derivation import Distance
from inferd.features.kinds import Kind
from shop.catalogue import PRODUCTS
from shop.clock import DAY, S, day_of
from shop.events import Json
from shop.payments import LookAlike, Pattern
from shop.words import DEPARTMENTS
from shop.world import World

Rows = list[tuple[Json, int, int]]


@pytest.fixture(scope="module")
def payments(world: World, events: list[Json]) -> Rows:
    """Return transactions with their pattern, and what they look like."""
    paid = [each for each in events if each["event_type"] == "transaction"]
    seems = world.payments.look_alike[world.transactions].tolist()
    return list(zip(paid, world.pattern.tolist(), seems, strict=True))


def rates(world: World, lists: NDArray[np.bool_]) -> NDArray[Any]:
    clicks = world.browsing.clicks
    places = clicks.position[lists[clicks.list]]
    found: NDArray[Any] = np.bincount(places, minlength=10) / lists.sum()
    return found


def speeds(rows: Rows) -> list[float]:
    """Return the speed from each user's payment before, in km/h; 0 for the first."""
    names = ("a.b", "a.c", "a.d", "a.e")
    distance = compiled(Distance(function="distance_km", of=names), [Kind("float64")] * 4).compute
    last: dict[str, Json] = {}
    found = []
    for event, _, _ in rows:
        it, before = event["data"], last.get(event["user_id"])
        last[event["user_id"]] = it
        if before is None:
            found.append(0.0)
            continue
        places = [before["latitude"], before["longitude"], it["latitude"], it["longitude"]]
        km = distance(places)
        assert isinstance(km, float)
        found.append(km / max((it["at_s"] - before["at_s"]) / 3600, 0.05))
    return found


def test_the_first_place_of_a_list_is_clicked_most_even_in_random_order(world: World) -> None:
    at_random = rates(world, world.browsing.lists.is_random)

    assert at_random[0] > 1.3 * at_random[2] > 1.3 * 1.3 * at_random[8]


def test_what_is_liked_is_clicked_more_at_the_same_place(world: World) -> None:
    clicks, liked = world.browsing.clicks, world.relevance()
    at_third = liked[clicks.list, clicks.position][clicks.position == 2]

    assert at_third.mean() > 2 * liked[:, 2].mean()


def test_what_is_shown_has_come_out(world: World) -> None:
    lists = world.browsing.lists
    released = world.items.released[lists.items]

    assert (released <= day_of(lists.time_us)[:, None]).all()


def test_there_are_new_users_and_new_items_all_the_time(world: World) -> None:
    people, items = world.people, world.items
    for week in range(world.days // 7):
        joined = day_of(people.joined_us) // 7 == week
        assert joined.sum() > 10
        assert (items.released // 7 == week).sum() > 10


def test_departments_rise_and_fall_with_the_days(world: World) -> None:
    lists = world.browsing.lists
    late = day_of(lists.time_us) > world.days / 2
    department = np.array([each for each, _ in PRODUCTS])[lists.product]
    shares = [np.bincount(department[rows]) / rows.sum() for rows in (~late, late)]

    for number, each in enumerate(DEPARTMENTS):
        if each.trend >= 0.01:
            assert shares[1][number] > 1.08 * shares[0][number], each.name


def test_thieves_hide_better_in_the_end(world: World) -> None:
    took = world.payments
    rows = np.nonzero(took.pattern == Pattern.TAKEOVER)[0]
    hidden = took.city[rows] == world.people.home[took.user[rows]]
    late = day_of(took.time_us[rows]) > world.days / 2

    assert hidden[late].mean() > 1.5 * hidden[~late].mean()


def test_card_testers_try_many_cards_on_one_device_in_minutes(payments: Rows) -> None:
    cards: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for event, pattern, _ in payments:
        if pattern == Pattern.CARD_TESTING:
            data = event["data"]
            cards[data["device"]].append((data["at_s"], data["card"]))

    for tries in cards.values():
        assert len({card for _, card in tries}) == len(tries) >= 6
        assert max(tries)[0] - min(tries)[0] < 600


def test_accounts_are_taken_over_with_another_device_and_mostly_from_far_away(
    payments: Rows,
) -> None:
    speed = speeds(payments)
    known: dict[str, set[str]] = defaultdict(set)
    new, fast = [], []
    for (event, pattern, _), kmh in zip(payments, speed, strict=True):
        user, device = event["user_id"], event["data"]["device"]
        if pattern == Pattern.TAKEOVER and device not in known[user]:
            new.append(event["id"])
            fast.append(kmh > 900)
        known[user].add(device)

    assert len(new) > 20
    assert np.mean(fast) > 0.4


def test_who_busts_out_spends_much_with_what_is_theirs_and_is_not_seen_again(
    payments: Rows,
) -> None:
    last: dict[str, float] = {}
    spent: dict[str, int] = defaultdict(int)
    for event, pattern, _ in payments:
        if pattern == Pattern.BUST_OUT:
            last[event["user_id"]] = event["data"]["at_s"]
            spent[event["user_id"]] += event["data"]["amount_minor"]
    after = [
        event
        for event, pattern, _ in payments
        if pattern == Pattern.NONE
        and event["user_id"] in last
        and event["data"]["at_s"] > last[event["user_id"]] + 2 * DAY / S
    ]

    assert len(last) > 8
    assert np.median([*spent.values()]) > 50_000
    assert after == []


def test_a_ring_has_one_merchant_a_few_accounts_and_even_amounts(payments: Rows) -> None:
    rings: dict[str, list[Json]] = defaultdict(list)
    for event, pattern, _ in payments:
        if pattern == Pattern.COLLUSION:
            rings[event["data"]["merchant"]].append(event)

    assert len(rings) >= 3
    for ring in rings.values():
        assert len({each["user_id"] for each in ring}) <= 6 < len(ring)
        assert len({each["data"]["device"] for each in ring}) <= 2
        assert all(each["data"]["amount_minor"] % 100 == 0 for each in ring)


def test_most_honest_journeys_are_possible_and_relays_are_not(payments: Rows) -> None:
    speed = np.array(speeds(payments))
    seems = np.array([each for _, _, each in payments])
    honest = np.array([pattern for _, pattern, _ in payments]) == Pattern.NONE

    assert (speed[honest & (seems == LookAlike.HOLIDAY)] > 900).mean() < 0.02
    assert (speed[honest & (seems == LookAlike.RELAYED)] > 900).mean() > 0.02
    assert (speed[honest] > 900).mean() < 0.01


def test_sprees_are_many_payments_of_one_user_in_hours(payments: Rows) -> None:
    days: Counter[tuple[str, int]] = Counter()
    for event, _, seems in payments:
        if seems == LookAlike.SPREE:
            days[event["user_id"], int(event["data"]["at_s"] // 86_400)] += 1

    assert len(days) >= 10
    assert np.median([*days.values()]) >= 6
