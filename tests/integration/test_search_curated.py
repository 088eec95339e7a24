"""What is pinned and hidden, beside filters, sorts, pages and an index that does not answer."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from inferd.v1 import search_pb2 as pb
from support.seekers import Seeker, a_server
from support.server import eventually

BY_PRICE = [pb.SearchSort(field="price_minor")]
CHEAP = [pb.SearchFilter(field="price_minor", range=pb.SearchRange(at_most=300.0))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeker]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("curated")
        _, seeker = a_server(stack, directory, directory)
        seeker.stock(
            {
                f"cup{number}": {"title": f"cup number{number}", "price_minor": 100.0 * number}
                for number in range(8)
            }
            | {"saucer": {"title": "saucer", "price_minor": 250.0}}
        )
        yield seeker


@pytest.fixture
def seeker(server: Seeker) -> Iterator[Seeker]:
    yield server
    server.put_curations()


def pinned(*ids: str, hidden: tuple[str, ...] = ()) -> pb.Curation:
    pins = [pb.Curation.Pin(id=id, position=place) for place, id in enumerate(ids)]
    return pb.Curation(query="cup", pins=pins, hidden=hidden)


def test_what_is_pinned_is_sorted_like_all_else_and_what_is_hidden_is_not_there(
    seeker: Seeker,
) -> None:
    seeker.put_curations(pinned("cup5", "saucer", hidden=("cup3",)))

    answer = seeker.search("cup", sort=BY_PRICE)
    assert [it.id for it in answer.hits] == [f"cup{each}" for each in (0, 1, 2, 4, 5, 6, 7)]
    assert not any(it.pinned for it in answer.hits)
    assert answer.total == 7


def test_what_is_pinned_passes_the_filters_of_the_request_or_is_not_there(seeker: Seeker) -> None:
    seeker.put_curations(pinned("cup5", "saucer"))

    answer = seeker.search("cup", filters=CHEAP)
    assert [(it.id, it.pinned) for it in answer.hits][:2] == [("cup0", False), ("saucer", True)]
    assert {it.id for it in answer.hits} == {"saucer", "cup0", "cup1", "cup2", "cup3"}
    assert answer.total == 5


def test_why_something_is_where_it_is_is_told_of_pins_too(seeker: Seeker) -> None:
    seeker.put_curations(pinned("cup5", "saucer", hidden=("cup3",)))

    places = {}
    for place, hit in enumerate(seeker.search("cup").hits):
        request = pb.ExplainHitRequest(request={"query": "cup"}, document_id=hit.id)
        explained = seeker.call("ExplainHit", request, pb.ExplainHitResponse)
        places[place] = explained.position
        assert (explained.hit.id, explained.hit.pinned) == (hit.id, hit.pinned)
        assert explained.lost == ""
    assert [*places] == [*places.values()] == [*range(8)]
    request = pb.ExplainHitRequest(request={"query": "cup"}, document_id="cup3")
    assert seeker.call("ExplainHit", request, pb.ExplainHitResponse).lost == "hidden"


def test_as_many_filters_as_are_allowed_do_not_forbid_those_a_query_stands_for(
    seeker: Seeker,
) -> None:
    answer = seeker.search(
        "cup under 3", filters=[pb.SearchFilter(field="title", exists=True)] * 100
    )

    assert [it.value for it in answer.understood.entities] == ["..300"]
    assert {it.id for it in answer.hits} == {"cup0", "cup1", "cup2", "cup3"}


@pytest.mark.parametrize("what", ["curations", "synonyms", "words"])
def test_the_pages_of_an_answer_are_of_one_whatever_is_put_between_two_of_them(
    seeker: Seeker, what: str
) -> None:
    seeker.put_curations(pinned("cup5", "saucer", hidden=("cup3",)))
    whole = seeker.found("cup")
    assert len(whole) == 8

    ids: list[str] = []
    for number, page in enumerate(seeker.pages("cup", page_size=3)):
        ids += [it.id for it in page.hits]
        if number == 0:
            change(seeker, what)
    assert ids == whole
    seeker.put_synonyms()


def change(seeker: Seeker, what: str) -> None:
    """Have the query mean something else from now on."""
    match what:
        case "curations":
            seeker.put_curations(pinned("cup7", hidden=("cup0", "cup1")))
        case "synonyms":
            seeker.put_synonyms(["cup", "saucer"])
        case _:  # "cups" is a form of "cup" once it is a word of the index
            seeker.stock({"set": {"title": "cups"}})
            eventually(lambda: "set" in seeker.found("cup"))
    assert seeker.found("cup") != []
