"""What somebody did last, over the wire, in every store."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from inferd.v1 import features_pb2 as pb
from inferd_client import InvalidRequest
from support.features import Features, a_row, an_event, features_of, value, written
from support.redis import running_redis
from support.server import serving

STORES = ("memory", "redis", "sqlite")
ITEM_FIELDS = [
    {"name": "user", "type": "string", "required": True},
    {"name": "item", "type": "string", "required": True},
]


def a_list(name: str, of: str, count: int = 100) -> Mapping[str, Any]:
    aggregate = {"function": "newest", "of": of, "count": count, "window": "90d"}
    return {"name": name, "type": "string_list", "aggregate": aggregate}


DEFINITIONS: Mapping[str, Any] = {
    "entities": [{"name": "user"}],
    "events": [{"name": name, "fields": ITEM_FIELDS} for name in ("page_view", "click")],
    "views": [
        {
            "name": "recent",
            "entity": "user",
            "events": ["page_view", "click"],
            "features": [
                a_list("items", "item"),
                a_list("kinds", "event.name"),
                a_list("last", "item", 1),
            ],
        },
        {
            "name": "likes",
            "entity": "user",
            "features": [
                {"name": "brands", "type": "string_list", "default": ["any"]},
                {"name": "age", "type": "int64", "default": 1},
            ],
        },
        {
            "name": "made",
            "entity": "user",
            "request": [{"name": "wanted", "type": "string_list"}],
            "features": [
                {
                    "name": "wanted_brands",
                    "type": "string_list",
                    "cel": "request.wanted.filter(each, each in likes.brands)",
                },
            ],
        },
    ],
}


@pytest.fixture(scope="module", params=STORES)
def features(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Features]:
    """Yield a server with that store."""
    directory = tmp_path_factory.mktemp(request.param)
    file = directory / "definitions.yaml"
    file.write_text(written(DEFINITIONS))
    given = {
        "INFERD__FEATURES__DEFINITIONS": str(file),
        "INFERD__FEATURES__STORE": request.param,
        "INFERD__FEATURES__SQLITE_PATH": str(directory / "features.sqlite"),
    }
    with ExitStack() as stack:
        if request.param == "redis":
            redis = stack.enter_context(running_redis(tmp_path_factory.mktemp("redis")))
            given["INFERD__REDIS__URL"] = redis.url
        server = stack.enter_context(
            serving(directory, "--control-mode", "explicit", environment=given)
        )
        yield stack.enter_context(features_of(server.address))


def did(number: int, user: str) -> pb.FeatureEvent:
    """Return what `user` did, the later the larger the number is."""
    kind = "click" if number % 3 == 0 else "page_view"
    return an_event(kind, f"{number}", ago_s=1000 - number, user=user, item=f"i{number}")


def test_of_150_interactions_the_newest_100_are_told_in_whichever_order_they_come(
    features: Features,
) -> None:
    numbers = [*range(100, 150), *range(50), *range(149, 49, -1), *range(50, 100)]
    for at in range(0, len(numbers), 50):
        features.record(*[did(number, "ann") for number in numbers[at : at + 50]])

    told = features.read("ann", "recent")
    newest = range(149, 49, -1)
    assert told["recent:items"][:2] == ([f"i{number}" for number in newest], "PRESENT")
    kinds = ["click" if number % 3 == 0 else "page_view" for number in newest]
    assert told["recent:kinds"][0] == kinds
    assert told["recent:last"][0] == ["i149"]


def test_lists_of_many_users_are_a_column_with_their_lengths(features: Features) -> None:
    features.record(did(1, "bob"), did(2, "bob"), did(3, "eve"))

    answer = features.batch(["bob", "nobody", "eve"], "recent:items", "likes:brands")
    recent, brands = answer.columns
    assert recent.string_lists.values == ["i2", "i1", "i3"]
    assert recent.string_lists.lengths == [2, 0, 1]
    assert [*recent.statuses] == [pb.Feature.PRESENT, pb.Feature.MISSING, pb.Feature.PRESENT]
    assert brands.string_lists.values == ["any"] * 3
    assert brands.string_lists.lengths == [1, 1, 1]


def test_lists_are_written_and_read_and_computed_with(features: Features) -> None:
    assert features.set(a_row("likes", "joe", brands=["a", "", "ü"])) == ["STORED"]
    empty = pb.FeatureValue(string_list=pb.StringList())
    row = a_row("likes", "jim", age=3)
    row.values["brands"].CopyFrom(empty)
    assert features.set(row) == ["STORED"]

    assert features.read("joe", "likes:brands")["likes:brands"][:2] == (["a", "", "ü"], "PRESENT")
    assert features.read("jim", "likes:brands")["likes:brands"][:2] == ([], "PRESENT")
    wanted = {"wanted": value(["ü", "x", "a"])}
    assert features.read("joe", "made", request=wanted)["made:wanted_brands"][0] == ["ü", "a"]
    with pytest.raises(InvalidRequest, match="expected string_list, got string"):
        features.set(a_row("likes", "joe", brands="a"))


def test_it_is_described_with_all_its_events(features: Features) -> None:
    answer = features.describe("recent")

    (view,) = answer.views
    assert view.events == ["page_view", "click"]
    assert [each.name for each in answer.events] == ["page_view", "click"]
    assert (view.features[1].type, view.features[1].origin) == (
        "string_list",
        "newest 100 of event.name over 90d",
    )
    (brands, _) = features.describe("likes").views[0].features
    assert brands.default.string_list.values == ["any"]
