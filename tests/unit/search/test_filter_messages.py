"""Filters there and back, and what is wrong with them."""

from hypothesis import given
from hypothesis import strategies as st

from inferd.services.search import text_query as tq
from inferd.services.search.filter_messages import filter_message, filters_of
from inferd.v1 import search_pb2 as pb

NAMES = st.sampled_from(["brand", "price", "new"])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(st.text(max_size=5), NUMBERS, st.booleans())
CONDITIONS: st.SearchStrategy[tq.Filter] = st.one_of(
    st.builds(tq.Equals, NAMES, VALUES),
    st.builds(tq.AnyOf, NAMES, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(tq.Between, NAMES, NUMBERS, st.none()),
    st.builds(tq.Between, NAMES, st.none(), NUMBERS),
    st.builds(
        lambda name, one, two: tq.Between(name, *sorted((one, two))), NAMES, NUMBERS, NUMBERS
    ),
    st.builds(tq.Exists, NAMES, st.booleans()),
)


def several(within: st.SearchStrategy[tq.Filter]) -> st.SearchStrategy[tq.Filter]:
    some = st.lists(within, min_size=1, max_size=2).map(tuple)
    return st.one_of(st.builds(tq.All, some), st.builds(tq.Any, some), st.builds(tq.Not, some))


FILTERS = st.one_of(
    CONDITIONS,
    several(CONDITIONS),
    several(several(CONDITIONS)),
    several(several(several(CONDITIONS))),
)


@given(st.lists(FILTERS, max_size=3))
def test_a_filter_is_the_same_after_it_was_a_message(filters: list[tq.Filter]) -> None:
    written = [
        pb.SearchFilter.FromString(filter_message(each).SerializeToString()) for each in filters
    ]

    assert filters_of(written) == tuple(filters)
