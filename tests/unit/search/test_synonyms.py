"""Words are widened to what means the same."""

import pytest

from inferd.errors import InvalidRequest
from inferd.services.search.query.phrases import Phrase
from inferd.services.search.query.synonyms import SynonymSet, synonyms_of


def wider(text: str, *sets: SynonymSet) -> list[tuple[int, int, Phrase]]:
    return [(start, end, value) for start, end, value in synonyms_of(sets).longest(text.split())]


def test_a_set_holds_in_all_directions() -> None:
    tv = SynonymSet(("TV", "telly", "Télévision"))

    assert wider("telly", tv) == [(0, 1, ("tv", "television"))]
    assert wider("big tv", tv) == [(1, 2, ("telly", "television"))]


def test_a_set_of_a_word_holds_in_one() -> None:
    pants = SynonymSet(("jeans", "chinos"), of="pants")

    assert wider("pants", pants) == [(0, 1, ("jeans", "chinos"))]
    assert wider("jeans", pants) == []


def test_several_words_may_stand_for_one_and_one_for_several() -> None:
    anc = SynonymSet(("noise cancelling", "anc"))

    assert wider("sony noise cancelling", anc) == [(1, 3, ("anc",))]
    assert wider("anc", anc) == [(0, 1, ("noise cancelling",))]
    assert wider("noise", anc) == []


def test_the_longest_of_a_place_counts() -> None:
    sets = SynonymSet(("hot", "spicy")), SynonymSet(("hot dog", "sausage"))

    assert wider("hot dog hot", *sets) == [(0, 2, ("sausage",)), (2, 3, ("spicy",))]


def test_sets_with_a_word_in_common_are_not_chained() -> None:
    sets = SynonymSet(("sofa", "couch")), SynonymSet(("couch", "settee"))

    assert wider("couch", *sets) == [(0, 1, ("sofa", "settee"))]
    assert wider("sofa", *sets) == [(0, 1, ("couch",))]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (SynonymSet(("alone",)), "synonyms[1].words"),
        (SynonymSet((), of="pants"), "synonyms[1].words"),
        (SynonymSet(("a", "...")), "synonyms[1].words"),
        (SynonymSet(("a",), of="!"), "synonyms[1].of"),
        (SynonymSet(("a", "b c d e f g h i j")), "synonyms[1].words"),
        (SynonymSet(tuple(f"w{at}" for at in range(101))), "synonyms[1].words"),
    ],
)
def test_a_set_that_is_wrong_is_named(wrong: SynonymSet, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        synonyms_of([SynonymSet(("right", "correct")), wrong])

    assert [each.field for each in refused.value.violations] == [field]


def test_there_is_a_limit_to_sets() -> None:
    with pytest.raises(InvalidRequest, match="10000"):
        synonyms_of([SynonymSet(("a", "b"))] * 10_001)
