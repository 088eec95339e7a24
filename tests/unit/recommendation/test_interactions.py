"""What users do with items: what is taken, what is refused, and who hears of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from inferd.config.recommendation.interactions import InteractionEvent, Interactions
from inferd.config.resilience import Breaker
from inferd.errors import CircuitOpen, DependencyFailed, InvalidRequest, TimedOut, Unavailable
from inferd.features.definitions import US, Definitions
from inferd.services.recommendation import interactions
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.vocabulary import Act
from inferd.v1 import recommendation_pb2 as pb
from support.shoppers import DECLARED, Fickle, Shop, a_call, did, statuses


async def test_what_was_recorded_is_told_once() -> None:
    shop = Shop()
    at_us = shop.aggregator.now_us() - US
    clicked = did("i1", time_us=at_us, event_id="e1", request_id="r1", position=3, quantity=2)

    assert statuses(await shop.record(clicked, did("i2", "VIEW"))) == ["ADDED", "ADDED"]
    assert statuses(await shop.record(clicked)) == ["DUPLICATE"]

    first, second = shop.heard
    assert first == ("ann", "i1", Act.CLICK, at_us, "r1", 3, 2)
    assert second == ("ann", "i2", Act.VIEW, shop.aggregator.now_us(), "", None, 1)
    assert shop.interactions.counts == {
        ("click", "ADDED"): 1,
        ("view", "ADDED"): 1,
        ("click", "DUPLICATE"): 1,
    }


async def test_without_an_event_id_it_is_always_another_one() -> None:
    shop = Shop()

    assert statuses(await shop.record(did("i1"), did("i1"))) == ["ADDED", "ADDED"]
    assert len(shop.heard) == 2


async def test_what_is_too_old_or_wrong_is_told_to_nobody_and_harms_no_other() -> None:
    shop = Shop()
    old = did("i1", time_us=shop.aggregator.now_us() - 91 * 86_400 * US)

    response = await shop.record(old, did(""), did("i3"))

    assert statuses(response) == ["TOO_OLD", "REJECTED", "ADDED"]
    assert [*response.results[1].problems] == ["interactions[1].item_id: it has 1 to 512 bytes"]
    assert [each.item_id for each in shop.heard] == ["i3"]


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        (did("i", user_id=""), "user_id", "1 to 512 bytes"),
        (did("i", user_id="ü" * 257), "user_id", "1 to 512 bytes"),
        (did("ü" * 257), "item_id", "1 to 512 bytes"),
        (did("i", "TYPE_UNSPECIFIED"), "type", "one of IMPRESSION, VIEW"),
        (did("i", "DISLIKE"), "type", "DISLIKE are not recorded here"),
        (did("i", time_us=1), "time_us", "from before 2000"),
        (did("i", time_us=2**60), "time_us", "in the future"),
        (did("i", position=-1), "position", "from 0, not -1"),
        (did("i", quantity=-1), "quantity", "not negative"),
        (did("i", quantity=10**7), "quantity", "at most 1000000"),
        (did("i", request_id="r" * 129), "request_id", "at most 128 bytes"),
        (did("i", event_id="e" * 129), "event_id", "at most 128 bytes"),
    ],
)
async def test_what_is_wrong_is_named_by_its_field(
    wrong: pb.Interaction, field: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        await Shop().record(wrong)

    assert [each.field for each in refused.value.violations] == [f"interactions[0].{field}"]


async def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        await Shop().record(pb.Interaction(position=-1), did(""))

    assert [each.field for each in refused.value.violations] == [
        "interactions[0].user_id",
        "interactions[0].item_id",
        "interactions[0].position",
        "interactions[0].type",
        "interactions[1].item_id",
    ]


@pytest.mark.parametrize("number", [0, 201])
async def test_a_request_has_some_interactions_and_not_too_many(number: int) -> None:
    with pytest.raises(InvalidRequest, match=f"1 to 200 interactions, not {number}"):
        await Shop().record(*[did("i")] * number)


async def test_an_event_says_what_the_catalogue_knows_of_the_item() -> None:
    shop = Shop()
    shop.items["i1"] = Item(id="i1", brand="acme", price_minor=250, currency="EUR")
    shop.items["i2"] = Item(id="i2")

    await shop.record(did("i1", quantity=3), did("unheard of"), did("i2"))

    profile, _ = await shop.profile("ann")
    assert profile.values["brand"] == "acme"
    assert profile.values["clicks_1h"] == 3


async def test_a_price_that_cannot_be_recorded_is_the_items_fault() -> None:
    shop = Shop()
    shop.items["i1"] = Item(id="i1", brand="b" * 64_001)

    with pytest.raises(InvalidRequest, match="64000 bytes") as refused:
        await shop.record(did("i1"))
    assert [each.field for each in refused.value.violations] == ["interactions[0].item_id"]


async def test_a_store_that_is_down_is_unavailable_and_nobody_hears_anything() -> None:
    store = Fickle()
    shop = Shop(store)
    store.raises = DependencyFailed("it is down")

    with pytest.raises(Unavailable):
        await shop.record(did("i1", event_id="e"))
    assert shop.heard == []

    store.raises = None
    assert statuses(await shop.record(did("i1", event_id="e"))) == ["ADDED"]
    assert len(shop.heard) == 1


async def test_while_the_guard_is_open_recording_fails_at_once() -> None:
    store = Fickle()
    shop = Shop(store, breaker=Breaker())
    store.raises = DependencyFailed("it is down")
    for _ in range(Breaker().minimum_calls):
        with pytest.raises(Unavailable):
            await shop.record(did("i1"))

    began = asyncio.get_running_loop().time()
    with pytest.raises(CircuitOpen):
        await shop.record(did("i1"))
    assert asyncio.get_running_loop().time() == began


async def test_a_store_that_hangs_holds_nobody_up_for_longer_than_its_guard_allows() -> None:
    store = Fickle()
    shop = Shop(store)
    store.takes_s = 3600.0

    began = asyncio.get_running_loop().time()
    with pytest.raises((TimedOut, Unavailable)):
        await shop.record(did("i1"), within_s=3600)
    assert asyncio.get_running_loop().time() - began <= 1.1


async def test_who_leaves_while_others_are_told_has_still_done_it() -> None:
    shop = Shop()
    told = asyncio.create_task(shop.record(*[did(f"i{number}") for number in range(120)]))
    await shop.first_heard.wait()

    told.cancel()
    with pytest.raises(asyncio.CancelledError):
        await told
    assert len(shop.heard) == 120


async def test_every_request_of_a_stream_is_answered_whatever_is_wrong_with_it() -> None:
    shop = Shop()
    many = [
        [did("i1"), did("i2", "VIEW")],
        [did("")],
        [],
        [did("i3")] * 201,
        [did("i4", "PURCHASE")],
    ]

    async def requests() -> AsyncIterator[pb.RecordInteractionsRequest]:
        for each in many:
            yield pb.RecordInteractionsRequest(interactions=each)

    answers = [each async for each in shop.interactions.stream(requests(), a_call())]

    assert [statuses(each) for each in answers] == [
        ["ADDED", "ADDED"],
        ["REJECTED"],
        [],
        ["REJECTED"] * 201,
        ["ADDED"],
    ]
    (problem,) = answers[3].results[0].problems
    assert problem == "interactions: there must be 1 to 200 interactions, not 201"
    assert [each.item_id for each in shop.heard] == ["i1", "i2", "i4"]


async def test_a_stream_ends_with_what_the_store_has() -> None:
    store = Fickle()
    shop = Shop(store)

    async def requests() -> AsyncIterator[pb.RecordInteractionsRequest]:
        yield pb.RecordInteractionsRequest(interactions=[did("i1")])
        store.raises = DependencyFailed("it is down")
        yield pb.RecordInteractionsRequest(interactions=[did("i2")])

    answers = shop.interactions.stream(requests(), a_call())
    assert statuses(await anext(answers)) == ["ADDED"]
    with pytest.raises(Unavailable):
        await anext(answers)


def test_what_cannot_be_recorded_is_told_with_its_key() -> None:
    definitions = Definitions.read(DECLARED)
    assert [*interactions.problems(Interactions(), definitions)] == []

    settings = Interactions.model_validate(
        {
            "events": {
                "view": {"event": "page_vew"},
                "click": {
                    "event": "click",
                    "fields": {"user": "user_id", "plase": "position", "brand": "position"},
                },
            }
        }
    )
    assert [*interactions.problems(settings, definitions)] == [
        "events.view.event: there are no events page_vew; did you mean page_view?",
        "events.click.fields.item: events click need it",
        "events.click.fields.plase: events click have no such field; did you mean place?",
        "events.click.fields.brand: it is string, and position is int64",
    ]


def test_an_event_that_no_view_is_of_is_no_use() -> None:
    look = {"name": "look", "fields": [{"name": "item", "type": "string"}]}
    declared = {**DECLARED, "events": [*DECLARED["events"], look]}
    settings = Interactions(events={"view": InteractionEvent(event="look", fields={})})

    assert [*interactions.problems(settings, Definitions.read(declared))] == [
        "events.view.event: no view is of events look"
    ]


def test_an_event_stands_for_one_kind_of_interaction() -> None:
    with pytest.raises(ValidationError, match=r"events\.view\.event: another is recorded as click"):
        Interactions.model_validate(
            {"events": {"view": {"event": "click"}, "click": {"event": "click"}}}
        )
