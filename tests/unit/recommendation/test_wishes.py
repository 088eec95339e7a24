import pytest

from inferd.errors import InvalidRequest
from inferd.services.recommendation import wishes
from inferd.services.recommendation.filters import AnyOf, Filter
from inferd.services.recommendation.wishes import Bounds, Wish
from inferd.v1 import recommendation_pb2 as pb
from support.recommendation import filled, item

BOUNDS = Bounds(max_count=20)


def wished(request: pb.GetRecommendationsRequest, bounds: Bounds = BOUNDS) -> Wish:
    return wishes.recommendations(request, filled([item("a")]).table, bounds)


def wrong(request: pb.GetRecommendationsRequest, bounds: Bounds = BOUNDS) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        wished(request, bounds)
    return [each.field for each in refused.value.violations]


def test_who_says_nothing_gets_ten_items_and_an_id() -> None:
    first, second = (wished(pb.GetRecommendationsRequest(user_id="u")) for _ in range(2))
    assert first.count == 10
    assert first.request_id
    assert first.request_id != second.request_id


def test_the_callers_own_request_id_stays() -> None:
    assert wished(pb.GetRecommendationsRequest(user_id="u", request_id="mine")).request_id == "mine"


def test_all_that_is_wrong_is_named_at_once() -> None:
    request = pb.GetRecommendationsRequest(
        count=21,
        request_id="r" * 129,
        context=pb.RecommendationContext(
            page="p" * 129, country="germany", recent_items=["a", "", "b" * 513]
        ),
        forced_arms={"colours": "red"},
    )
    assert wrong(request) == [
        "user_id",
        "context.page",
        "context.country",
        "context.recent_items[1]",
        "context.recent_items[2]",
        "forced_arms",
        "count",
        "request_id",
    ]


@pytest.mark.parametrize("count", [-1, 21])
def test_counts_out_of_bounds_are_refused(count: int) -> None:
    assert wrong(pb.GetRecommendationsRequest(user_id="u", count=count)) == ["count"]


def test_a_session_of_too_many_items_is_refused_as_one() -> None:
    context = pb.RecommendationContext(recent_items=["a"] * 101)
    request = pb.GetRecommendationsRequest(user_id="u", context=context)
    assert wrong(request) == ["context.recent_items"]


def test_arms_may_be_asked_for_where_the_server_allows_it() -> None:
    bounds = Bounds(max_count=20, allow_forced_arms=True)
    request = pb.GetRecommendationsRequest(user_id="u", forced_arms={"colours": "red"})
    assert wished(request, bounds).forced_arms == {"colours": "red"}
    many = pb.GetRecommendationsRequest(
        user_id="u", forced_arms={str(number): "red" for number in range(33)}
    )
    assert wrong(many, bounds) == ["forced_arms"]


def test_what_is_wrong_in_a_request_within_a_request_is_named_by_its_path() -> None:
    with pytest.raises(InvalidRequest) as refused:
        wishes.recommendations(
            pb.GetRecommendationsRequest(), filled([item("a")]).table, BOUNDS, under="request."
        )
    assert [each.field for each in refused.value.violations] == ["request.user_id"]


def test_an_item_is_not_like_itself() -> None:
    request = pb.SimilarItemsRequest(item_id="a", user_id="u")
    wish = wishes.similar(request, filled([item("a")]).table, BOUNDS)
    assert wish.filters == (Filter("id", AnyOf(("a",)), negate=True),)
    assert wish.context.item_id == "a"


def test_trends_are_of_a_category_or_of_all() -> None:
    table = filled([item("a")]).table
    of_home = wishes.trending(pb.GetTrendingRequest(category="home"), table, BOUNDS)
    assert of_home.context.said() == {"category": "home"}
    assert wishes.trending(pb.GetTrendingRequest(), table, BOUNDS).context.said() == {}


def test_items_that_are_asked_about_are_asked_about_once_and_not_too_many() -> None:
    assert wishes.asked_about(["b", "a", "b"]) == ["b", "a"]
    with pytest.raises(InvalidRequest):
        wishes.asked_about([str(number) for number in range(101)])
