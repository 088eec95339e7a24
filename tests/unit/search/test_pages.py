import pytest

from inferd.errors import InvalidRequest
from inferd.services.search.pages import Kept, Page, PageExpired, PageTokens, shown

TOKENS = PageTokens(b"key", b"server")


def test_the_first_page_is_of_the_window_and_the_next_begins_where_it_ends() -> None:
    first = shown(Page(1, 0, (2, 0, 1)), 2, window=3, total=9, depth=100)
    assert (first.window, first.count) == ((2, 0), 0)
    assert first.next == Page(1, 2, (1,))

    second = shown(first.next, 4, window=3, total=9, depth=100)
    assert (second.window, second.offset, second.count) == ((1,), 3, 3)
    assert second.next == Page(1, 6)

    third = shown(second.next, 4, window=3, total=9, depth=100)
    assert (third.window, third.offset, third.count) == ((), 6, 3)
    assert third.next is None


def test_a_pin_has_its_place_and_the_others_move_on() -> None:
    pins = [(1, "pin"), (50, "late")]
    first = shown(Page(1, 0, (0, 1)), 3, window=2, total=5, depth=100, pins=pins)
    assert first.pins == ((1, "pin"),)
    assert first.window == (0, 1)
    assert first.next is not None

    second = shown(first.next, 10, window=2, total=5, depth=100, pins=pins)
    assert (second.offset, second.count) == (2, 3)
    assert second.pins == ((3, "late"),)
    assert second.next is None


def test_pins_of_one_place_follow_each_other() -> None:
    said = shown(Page(1, 0), 5, window=0, total=5, depth=100, pins=[(0, "a"), (0, "b"), (1, "c")])
    assert said.pins == ((0, "a"), (1, "b"), (2, "c"))


def test_nothing_found_is_one_empty_page_or_the_pins() -> None:
    assert shown(Page(1, 0), 5, window=0, total=0, depth=100).next is None
    assert shown(Page(1, 0), 5, window=0, total=0, depth=9, pins=[(4, "a")]).pins == ((0, "a"),)


def test_nothing_is_shown_behind_the_depth() -> None:
    said = shown(Page(1, 90), 20, window=50, total=1000, depth=100)
    assert (said.offset, said.count, said.next) == (90, 10, None)


def test_a_token_is_forged_or_of_another_query_or_good() -> None:
    token = TOKENS.token(Page(5, 10, (3, 4)), "red shoe")
    assert TOKENS.page(token, "red shoe") == Page(5, 10, (3, 4))
    for wrong in (token[:-1], token + "=", token.swapcase(), "", "é", token[2:], "A" * 400):
        with pytest.raises(InvalidRequest, match="page_token is none"):
            TOKENS.page(wrong, "red shoe")
    with pytest.raises(InvalidRequest, match="page_token was made for another request"):
        TOKENS.page(token, "blue shoe")


def test_a_token_of_another_server_or_an_earlier_start_has_expired() -> None:
    first, second = PageTokens.random("shared"), PageTokens.random("shared")
    token = first.token(Page(5, 10), "red shoe")

    assert first.page(token, "red shoe") == Page(5, 10)
    with pytest.raises(PageExpired, match="earlier start"):
        second.page(token, "red shoe")
    with pytest.raises(InvalidRequest, match="none that this server made"):
        PageTokens.random().page(token, "red shoe")


def test_states_that_nobody_pages_through_go_first() -> None:
    kept: Kept[str] = Kept(keep_s=60.0, at_most=2)
    for epoch in range(5):
        kept.add(epoch, f"state {epoch}", 0.1 * epoch)
        if epoch == 1:
            assert kept.prolong(epoch, 0.1)

    assert [kept.get(epoch, 0.5) for epoch in range(5)] == [
        *(None, "state 1", None, "state 3", "state 4")
    ]
    assert kept.get(3, 10.0) is None
    assert kept.get(1, 59.0) == "state 1"
    assert not kept.prolong(0, 0.5)
