"""Recommendations where something fails: lists nevertheless, labelled, and nothing is lost."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from inferd.v1 import recommendation_pb2 as pb
from inferd_client import Unavailable
from support.chaos.world import World, admin_of
from support.recommending import (
    ITEMS,
    NETWORK,
    TREES,
    Shop,
    a_server,
    an_item,
    did,
    ids,
    items,
    made,
    met,
    of,
    without,
    write_models,
)
from support.redis import RedisServer
from support.server import eventually

BREAKABLE = {"admin": {"enabled": True, "port": 0}, "faults": {"enabled": True}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    write_models(repository)
    return repository


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def fragile(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Shop]]:
    """Return a server in which things can be broken."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("fragile") / "server"
        server, shop = a_server(stack, directory, models, config=BREAKABLE)
        shop.upsert(items())
        channel = stack.enter_context(grpc.insecure_channel(admin_of(server)))
        yield World(server, RedisServer(directory), channel, models), shop


def test_defect_14_without_profiles_there_is_a_list_of_what_is_popular(
    fragile: tuple[World, Shop],
) -> None:
    world, shop = fragile
    met(shop, "forgotten", 0, 3)
    with world.broken("features", "error"):
        answer = shop.recommend("forgotten")
    assert made(answer) == "POPULAR"
    assert len(answer.items) == 10
    assert without(answer) == {("profile", "anonymous")}
    eventually(lambda: made(shop.recommend("forgotten")) == "COMPUTED")


def test_candidates_that_cannot_be_found_are_what_is_popular(
    fragile: tuple[World, Shop],
) -> None:
    world, shop = fragile
    met(shop, "lost", 0, 3)
    with world.broken("recommendation_candidates", "error"):
        answer = shop.recommend("lost")
    assert made(answer) == "POPULAR"
    assert len(answer.items) == 10
    assert ("candidates", "popular") in without(answer)


@pytest.mark.parametrize(("down", "up"), [(TREES, NETWORK), (NETWORK, TREES)])
def test_one_ranker_down_is_done_without(fragile: tuple[World, Shop], down: str, up: str) -> None:
    world, shop = fragile
    user = f"without {down}"
    met(shop, user, 0, 3)
    with world.broken(f"model.{down}", "error"):
        answer = shop.recommend(user, debug=True)
        again = shop.recommend(user)
    assert made(answer) == "COMPUTED"
    assert [*answer.models] == [f"{up}/1"]
    assert without(answer) == {(down, "none")}
    assert all({*each.debug.scores} == {up} for each in answer.items)
    assert made(again) == "COMPUTED", "what lacks something is not kept"


def test_without_any_ranker_places_at_which_sources_found_items_are_the_order(
    fragile: tuple[World, Shop],
) -> None:
    world, shop = fragile
    met(shop, "unranked", 0, 3)
    with world.broken(f"model.{TREES}", "error"), world.broken(f"model.{NETWORK}", "error"):
        answer = shop.recommend("unranked")
    assert len(answer.items) == 10
    assert without(answer) == {(TREES, "none"), (NETWORK, "none")}
    assert not answer.models


def test_a_ranker_that_says_nan_has_said_nothing(fragile: tuple[World, Shop]) -> None:
    world, shop = fragile
    met(shop, "nonsense", 0, 3)
    with world.broken(f"model.{TREES}", "corrupt"):
        answer = shop.recommend("nonsense")
    assert [*answer.models] == [f"{NETWORK}/1"]
    assert (TREES, "none") in without(answer)


def test_without_a_vector_of_the_user_others_sources_are_left(
    fragile: tuple[World, Shop],
) -> None:
    world, shop = fragile
    met(shop, "nowhere", 0, 3)
    with world.broken("model.rec_users", "error"):
        answer = shop.recommend("nowhere", debug=True)
    assert made(answer) == "COMPUTED"
    assert len(answer.items) == 10
    assert without(answer) == {("user_vector", "none")}
    assert not answer.debug.candidates["vectors"]


def test_without_redis_there_are_lists_and_they_say_so(
    stack: ExitStack, tmp_path: Path, models: Path, redis_server: RedisServer
) -> None:
    config = {
        "features": {"definitions": "definitions.yaml", "store": "redis"},
        "redis": {"url": redis_server.url},
    }
    _, shop = a_server(stack, tmp_path / "server", models, config=config)
    shop.upsert(items())
    met(shop, "cut off", 0, 3)
    assert made(shop.recommend("cut off")) == "COMPUTED"

    redis_server.kill()

    for _ in range(30):
        answer = shop.recommend("cut off")
        assert made(answer) == "POPULAR"
        assert len(answer.items) == 10
        assert {stage for stage, _ in without(answer)} == {"profile"}
    assert made(shop.similar("i001", user_id="cut off")) == "SIMILAR"
    assert made(shop.trending()) == "TRENDING"
    redis_server.start()
    met_again = did("cut off", "i000")
    eventually(lambda: recorded(shop, met_again))
    eventually(lambda: made(shop.recommend("cut off", skip_cache=True)) == "COMPUTED")


def test_two_servers_over_one_redis_know_what_a_user_did(
    stack: ExitStack, tmp_path: Path, models: Path, redis_server: RedisServer
) -> None:
    config = {
        "features": {"definitions": "definitions.yaml", "store": "redis"},
        "redis": {"url": redis_server.url},
    }
    shops = [a_server(stack, tmp_path / name, models, config=config)[1] for name in ("a", "b")]
    for shop in shops:
        shop.upsert(items())
    here, there = shops
    met(here, "roaming", 0, 3)
    assert made(there.recommend("roaming")) == "COMPUTED"
    assert made(there.recommend("roaming")) == "CACHE"
    met(here, "roaming", 1, 4)

    def follows() -> bool:
        answer = there.recommend("roaming", debug=True)
        return answer.debug.interactions == 8

    eventually(follows)
    assert made(there.recommend("roaming")) == "COMPUTED"


def test_a_restart_keeps_the_catalogue_and_everybodys_arm(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    directory = tmp_path / "server"
    users = [f"u{number}" for number in range(40)]
    server, shop = a_server(stack, directory, models)
    shop.upsert(items())
    shop.delete("i003")
    shop.record(*(did(user, "i007", "PURCHASE") for user in users))
    eventually(lambda: ids(shop.trending())[:1] == ["i007"])
    arms = arms_of(shop, users)
    assert {*arms} == {"plain", "bold"}
    server.signal(signal.SIGTERM)
    server.ended()

    _, shop = a_server(stack, directory, models)

    assert shop.get("i003").catalogue_size == ITEMS - 1
    assert {*shop.upsert([an_item(number) for number in range(ITEMS) if number != 3])} == {
        "UNCHANGED"
    }
    assert "i003" not in ids(shop.recommend("u0", count=100))
    assert ids(shop.trending())[:1] == ["i007"]
    assert arms_of(shop, users) == arms


def test_kill_9_loses_nothing_that_was_acknowledged(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    directory = tmp_path / "server"
    server, shop = a_server(stack, directory, models, exit_code=-signal.SIGKILL)
    for number in range(0, ITEMS, 5):
        shop.upsert([an_item(number + each) for each in range(5)])
        shop.delete(f"i{number:03d}")
    server.signal(signal.SIGKILL)
    server.ended()

    _, shop = a_server(stack, directory, models)

    found = shop.get(*(f"i{number:03d}" for number in range(ITEMS)))
    assert found.catalogue_size == len(found.items)
    assert [each.id for each in found.items] == [
        f"i{number:03d}" for number in range(ITEMS) if number % 5
    ]
    assert found.items[0] == an_item(1)


def test_a_seed_is_taken_once(stack: ExitStack, tmp_path: Path, models: Path) -> None:
    directory = tmp_path / "server"
    rows = [
        {"id": "a", "category": "hats", "vector": [1, 0, 0, 0]},
        {"id": "b", "attributes": {"colour": {"text": "red"}}},
    ]
    catalogue = {"path": "catalogue", "seed": "seed.jsonl", "dimensions": 4}
    directory.mkdir()
    (directory / "seed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    server, shop = a_server(stack, directory, models, catalogue=catalogue)
    eventually(lambda: shop.get("a").catalogue_size == 2)
    assert ids(shop.recommend("u", filters=[of("attributes.colour", "red")])) == ["b"]
    shop.delete("a")
    server.signal(signal.SIGTERM)
    server.ended()

    _, shop = a_server(stack, directory, models, catalogue=catalogue)
    assert [each.id for each in shop.get("a", "b").items] == ["b"]


def recorded(shop: Shop, act: pb.Interaction) -> bool:
    """Return whether it could be recorded."""
    try:
        return shop.record(act) == ["ADDED"]
    except Unavailable:  # a breaker is still open, say
        return False


def arms_of(shop: Shop, users: list[str]) -> list[str]:
    """Return the arm of each in the experiment of labels."""
    answers = [shop.recommend(user) for user in users]
    return [next(it.arm for it in each.arms if it.experiment == "labels") for each in answers]
