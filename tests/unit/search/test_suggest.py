"""How what somebody begins to type may go on."""

import pytest

from inferd.config.search.suggest import SearchSuggest
from inferd.errors import InvalidRequest
from inferd.services.search.suggest.asked import AskedQueries, weight
from inferd.services.search.suggest.completions import Completions, Entry, Kind
from inferd.services.search.suggest.suggester import Suggester, Suggestions, completions_of

NOW_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000
SETTINGS = SearchSuggest()
TITLES = {
    "Sony WH-1000XM4 Headphones": 90,
    "Sony Walkman": 400,
    "Sonos Speaker": 200,
    "Crème Brûlée Torch": 50,
}
TERMS = {"headphones": 800, "headset": 80, "sony": 490, "speaker": 200}


def suggester(settings: SearchSuggest = SETTINGS) -> Suggester:
    made = Suggester(settings)
    made.use(completions_of(settings, TERMS, TITLES, {}, NOW_US))
    return made


def refreshed(it: Suggester, now_us: int = NOW_US, settings: SearchSuggest = SETTINGS) -> None:
    it.use(completions_of(settings, TERMS, TITLES, it.asked.popular(), now_us))


def ask(it: Suggester, query: str, users: int, now_us: int = NOW_US) -> None:
    for user in range(users):
        it.asked.record(query, f"user-{user}", 10, now_us)


def texts(found: Suggestions) -> list[str]:
    return [each.text for each in found.suggestions]


def test_what_begins_with_what_was_typed_is_suggested_the_most_popular_first() -> None:
    found = suggester().suggest("so", (), 8)

    assert texts(found) == ["sony", "Sony Walkman", "Sonos Speaker", "Sony WH-1000XM4 Headphones"]
    scores = [each.score for each in found.suggestions]
    assert scores == sorted(scores, reverse=True)


def test_no_more_is_suggested_than_asked_for() -> None:
    assert len(suggester().suggest("s", (), 2).suggestions) == 2


def test_nothing_typed_yet_gets_what_is_popular() -> None:
    assert texts(suggester().suggest("", (), 2)) == ["headphones", "sony"]


def test_a_space_says_that_the_word_is_done() -> None:
    assert "sony" not in texts(suggester().suggest("sony ", (), 8))
    assert "Sonos Speaker" not in texts(suggester().suggest("sony ", (), 8))


def test_case_accents_and_punctuation_do_not_matter_and_what_was_typed_is_marked() -> None:
    (torch,) = suggester().suggest("creme bru", (), 8).suggestions
    (sony,) = suggester().suggest("SONY wh 1000", (), 8).suggestions

    assert torch.text[: torch.match_end] == "Crème Brû"
    assert sony.text[: sony.match_end] == "Sony WH-1000"


def test_a_typing_error_is_allowed_for_and_marked() -> None:
    found = suggester().suggest("hedph", (), 8)

    assert texts(found) == ["headphones"]
    assert found.suggestions[0].corrected
    assert found.did_you_mean == "headphones"


def test_a_typing_error_may_be_in_a_word_before_the_last() -> None:
    found = suggester().suggest("sonny walk", (), 8)

    assert texts(found) == ["Sony Walkman"]
    assert found.did_you_mean == "walkman"


def test_nothing_is_corrected_where_something_fits() -> None:
    found = suggester().suggest("heads", (), 8)

    assert texts(found) == ["headset"]
    assert found.did_you_mean == ""


def test_numbers_are_not_corrected() -> None:
    assert texts(suggester().suggest("sony wh 2000xm4", (), 8)) == []


def test_a_query_is_suggested_to_others_once_enough_users_asked_it() -> None:
    it = suggester()

    ask(it, "sony turntable", users=2)
    refreshed(it)
    assert "sony turntable" not in texts(it.suggest("sony t", (), 8))

    ask(it, "Sony  Turntable", users=3)
    assert "sony turntable" not in texts(it.suggest("sony t", (), 8))
    refreshed(it)
    assert texts(it.suggest("sony t", (), 8)) == ["sony turntable"]
    assert it.suggest("sony t", (), 8).suggestions[0].kind is Kind.QUERY


def test_one_user_is_one_however_often_they_ask_and_nobody_in_particular_is_none() -> None:
    asked = AskedQueries(SETTINGS)

    for user in ("me", "", "me", "you", "", "you"):
        assert asked.record("sony turntable", user, 10, NOW_US)

    assert not asked.popular()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("nothing has this", 0),
        ("me@example.com", 5),
        ("4111 1111 1111 1111", 5),
        ("call +49-170-1234567", 5),
        ("x" * 61, 5),
        ("x" * 5000, 5),
        ("!?", 5),
    ],
)
def test_what_found_nothing_or_is_personal_is_never_counted(query: str, found: int) -> None:
    asked = AskedQueries(SETTINGS)

    assert not asked.record(query, "me", found, NOW_US)
    assert len(asked) == 0


def test_a_users_own_queries_come_first_the_newest_first_and_once() -> None:
    recent = ["sony tv", "lamp", "Sony Walkman", "sony radio", "sony tv"]

    found = suggester().suggest("sony", recent, 4)

    assert texts(found) == ["sony tv", "sony radio", "sony walkman", "sony"]
    assert [each.kind for each in found.suggestions[:3]] == [Kind.RECENT] * 3
    scores = [each.score for each in found.suggestions]
    assert scores == sorted(scores, reverse=True)


def test_what_was_asked_of_late_counts_more_than_what_was_asked_much() -> None:
    it = suggester()

    ask(it, "turntable old", users=8, now_us=NOW_US - 3 * 72 * HOUR_US)
    ask(it, "turntable new", users=3, now_us=NOW_US)
    refreshed(it)

    assert texts(it.suggest("turntable", (), 8)) == ["turntable new", "turntable old"]


def test_a_query_counts_for_half_after_a_half_life() -> None:
    asked = AskedQueries(SETTINGS)
    for user in "abcd":
        asked.record("turntable", user, 1, NOW_US)

    (score,) = asked.popular().values()

    assert weight(score, NOW_US, 72) == pytest.approx(4)
    assert weight(score, NOW_US + 72 * HOUR_US, 72) == pytest.approx(2)
    assert weight(score, NOW_US + 100_000 * 72 * HOUR_US, 72) == 0


def test_memory_is_bounded_and_what_counts_stays() -> None:
    asked = AskedQueries(SearchSuggest(max_queries=100))
    for number in range(50):
        asked.record("turntable", str(number), 1, NOW_US)
        asked.record("asked by somebody alone", "me", 1, NOW_US)

    for number in range(1000):
        asked.record(f"q{number}", "me", 1, NOW_US)
        for user in "abc":
            asked.record(f"popular {number}", user, 1, NOW_US)

    assert len(asked) <= 200
    assert "turntable" in asked.popular()
    for user in "ab":
        asked.record("asked by somebody alone", user, 1, NOW_US)
    assert "asked by somebody alone" in asked.popular()


def test_the_most_frequent_of_too_many_terms_are_kept() -> None:
    few = SearchSuggest(max_terms=2)

    assert len(completions_of(few, TERMS, TITLES, {}, NOW_US)) == 2


def test_texts_with_the_same_words_are_one() -> None:
    both = Completions([Entry("Sony TV", 1, Kind.TITLE), Entry("sony tv", 5, Kind.QUERY)])

    assert len(both) == 1
    assert both.best("sony", 8)[0].kind is Kind.QUERY


def test_among_very_many_the_best_are_found_however_often_they_are_asked_for() -> None:
    many = Completions(Entry(f"a{number}", number, Kind.TERM) for number in range(5000))

    for _ in range(2):
        assert [each.text for each in many.best("a", 3)] == ["a4999", "a4998", "a4997"]
    assert len(many.best("a", 100)) == 100


def test_what_is_too_long_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="at most 200") as refused:
        suggester().suggest("x" * 201, (), 8)

    assert [each.field for each in refused.value.violations] == ["prefix"]
