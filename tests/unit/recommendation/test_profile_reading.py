"""Profiles: what is in them, what becomes of them when something was done, and without a store."""

import asyncio
import math

import pytest

from inferd.config.recommendation.interactions import Interactions
from inferd.config.recommendation.profile import Profile as Settings
from inferd.deadline import NEVER
from inferd.errors import DependencyFailed
from inferd.features.aggregates.events import EventWrite
from inferd.features.definitions import US, Definitions
from inferd.features.writing import Write
from inferd.services.recommendation import profile_reading
from inferd.services.recommendation.profile import anonymous
from inferd.services.recommendation.profile_reading import ProfileReading
from inferd.services.recommendation.vocabulary import Act, Seen
from support.shoppers import DECLARED, FEATURES, Fickle, Shop, a_call, did


async def test_a_profile_is_the_newest_100_acts_and_what_features_say() -> None:
    shop = Shop()
    now_us = shop.aggregator.now_us()
    acts = ["VIEW", "CLICK", "PURCHASE"]
    for first in (100, 0):  # the later ones come first
        await shop.record(
            *[
                did(f"i{number}", acts[number % 3], time_us=now_us - 200 * US + number * US)
                for number in range(first, first + (50 if first else 100))
            ]
        )
    profiles = Write(shop.definitions.views["user_profile"], "ann", now_us, {"premium": True})
    await shop.store.set(a_call(), NEVER, [shop.store.checked(profiles)])

    profile, degradations = await shop.profile("ann")

    assert degradations == []
    assert (profile.user_id, profile.known) == ("ann", True)
    assert [*profile.history] == [
        Seen(f"i{number}", Act[acts[number % 3]], now_us - 200 * US + number * US)
        for number in range(149, 49, -1)
    ]
    assert profile.values == {"clicks_1h": 50.0, "brand": None, "segment": "new", "premium": 1.0}


async def test_somebody_new_has_an_empty_profile_that_is_known() -> None:
    profile, degradations = await Shop().profile("nobody")

    assert (profile.history, profile.known, degradations) == ((), True, [])
    assert profile.values == {"clicks_1h": 0.0, "brand": None, "segment": "new", "premium": None}


async def test_events_that_are_no_interactions_are_no_part_of_a_history() -> None:
    shop = Shop()
    await shop.record(did("i1"))
    searched = EventWrite(
        shop.definitions.events["search"],
        "s",
        shop.aggregator.now_us(),
        {"user": "ann", "item": "shoes"},
    )
    await shop.aggregator.record(a_call(), NEVER, [shop.aggregator.checked(searched)])

    profile, _ = await shop.profile("ann")
    assert [each.item_id for each in profile.history] == ["i1"]


async def test_a_stamp_changes_with_every_interaction_and_with_nothing_else() -> None:
    shop = Shop()
    now_us = shop.aggregator.now_us()
    stamps = [(await shop.profile("ann"))[0].stamp]
    for late_us in (0, 0, 60 * US):
        await shop.record(did("i1", time_us=now_us - late_us, event_id=f"{len(stamps)}"))
        stamps.append((await shop.profile("ann"))[0].stamp)

    assert len(set(stamps)) == 4
    assert all(0 <= each < 2**63 for each in stamps)
    await shop.record(did("i1", time_us=now_us, event_id="1"))
    await shop.record(did("i9", user_id="bob"))
    shop.wall_clock.now_s += 7200
    profile, _ = await shop.profile("ann")
    assert profile.stamp == stamps[-1]
    assert profile.values["clicks_1h"] == 0.0


async def test_an_answer_after_an_interaction_knows_of_it() -> None:
    shop = Shop()
    for number in range(5):
        await shop.record(did(f"i{number}"))
        profile, _ = await shop.profile("ann")
        assert f"i{number}" in {each.item_id for each in profile.history}
        assert profile.values["clicks_1h"] == number + 1


async def test_without_a_store_there_is_an_anonymous_profile_which_says_so() -> None:
    store = Fickle()
    shop = Shop(store)
    await shop.record(did("i1"))
    store.raises = DependencyFailed("it is down")

    profile, degradations = await shop.profile("ann")

    assert profile == anonymous("ann")
    assert [tuple(each)[:3] for each in degradations] == [
        ("profile", "anonymous", "DEPENDENCY_FAILED")
    ]


@pytest.mark.parametrize("within_s", [1.0, 0.005, 0.0])
async def test_a_store_that_hangs_is_given_up_in_time(within_s: float) -> None:
    store = Fickle()
    shop = Shop(store)
    store.takes_s = 3600.0

    began = asyncio.get_running_loop().time()
    profile, degradations = await shop.profile("ann", within_s=within_s)

    assert profile == anonymous("ann")
    assert [each.stage for each in degradations] == ["profile"]
    assert asyncio.get_running_loop().time() - began <= min(within_s, 0.021)


async def test_what_lacks_a_few_features_is_a_profile_that_says_so() -> None:
    shop = Shop()
    await shop.record(did("i1"))
    shop.rows.raises = DependencyFailed("it is down")

    profile, degradations = await shop.profile("ann")

    assert [each.item_id for each in profile.history] == ["i1"]
    assert profile.values["segment"] == "new"
    assert [tuple(each)[:3] for each in degradations] == [("profile", "partly", "TIMED_OUT")]


async def test_a_history_without_times_is_as_good() -> None:
    shop = Shop()
    await shop.record(did("i1"))
    reading = ProfileReading(
        Settings(times=None), shop.interaction_settings, shop.definitions, shop.online
    )

    known = await reading.read(a_call(), NEVER, "ann")
    assert [*known.profile.history] == [Seen("i1", Act.CLICK, 0)]


def test_what_cannot_be_read_is_told_with_its_key() -> None:
    definitions = Definitions.read(DECLARED)
    assert [*profile_reading.problems(Settings(features=FEATURES), definitions)] == []

    wrong = Settings(
        items="user_recent.item",
        acts="user_recent.times",
        times="user_clicks.brand",
        features={
            "a": "user_clics.count_1h",
            "b": "user_recent.items",
        },
    )
    assert [*profile_reading.problems(wrong, definitions)] == [
        "items: view user_recent has no feature item; did you mean items?",
        "features.a: there is no view user_clics;"
        " did you mean user_clicks, user_recent, user_profile?",
        "features.b: it is string_list, and a profile has numbers and texts",
        "acts: it is of event.time_us, not of event.name",
        "times: it is no list of the newest events",
    ]
    (nobody,) = profile_reading.problems(Settings(entity="usr"), definitions)
    assert nobody == "entity: there is no entity usr; did you mean user?"


def test_a_history_is_of_what_was_done_and_not_of_a_default() -> None:
    views = [dict(each) for each in DECLARED["views"]]
    items, *others = views[0]["features"]
    views[0]["features"] = [{**items, "default": ["bestseller"]}, *others]
    definitions = Definitions.read({**DECLARED, "views": views})

    assert [*profile_reading.problems(Settings(), definitions)] == [
        "items: somebody new did nothing, and it has a default"
    ]


def test_lists_that_do_not_go_together_are_no_history() -> None:
    views = [dict(each) for each in DECLARED["views"]]
    items, acts, times = views[0]["features"]
    shorter = {**acts, "aggregate": {**acts["aggregate"], "count": 99}}
    views[0]["features"] = [items, shorter, times]
    definitions = Definitions.read({**DECLARED, "views": views})

    assert [*profile_reading.problems(Settings(), definitions)] == [
        "acts: view, count or window are not those of items"
    ]


def test_defaults_go_together() -> None:
    assert set(Interactions().events) == {each.name.lower() for each in Act}
    assert math.isfinite(Settings().timeout_ms)
