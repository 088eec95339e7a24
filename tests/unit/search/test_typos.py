"""Words are taken for what they were meant to be."""

import pytest

from inferd.services.search.query.distance import distance
from inferd.services.search.query.lexicon import Lexicon, Tolerance
from inferd.services.search.query.spelling import Reading, Speller
from inferd.services.search.query.understood import Correction

WORDS = {
    "iphone": 500,
    "13": 200,
    "14": 200,
    "phone": 2000,
    "phones": 60,
    "headphones": 800,
    "wireless": 700,
    "mouse": 300,
    "house": 3,
    "lamp": 40,
    "camp": 400,
    "s21": 50,
    "s22": 90,
    "cat": 10,
}


def speller(words: dict[str, int] | None = None, *, most: int = 3, ratio: float = 1000) -> Speller:
    return Speller(Lexicon(WORDS if words is None else words), lambda _: False, most, ratio)


def texts(readings: list[Reading]) -> list[str]:
    return [reading.text for reading in readings]


def read(*words: str) -> list[str]:
    return texts(list(speller().readings(words)))


@pytest.mark.parametrize(
    ("one", "other", "errors"),
    [
        ("iphone", "ipone", 1),
        ("iphone", "ihpone", 1),
        ("iphone", "iphonee", 1),
        ("iphone", "iphane", 1),
        ("iphone", "ihpnoe", 2),
        ("ca", "abc", 3),  # as "restricted" means: what changed places is not edited again
        ("same", "same", 0),
        ("", "ab", 2),
    ],
)
def test_an_error_is_a_letter_more_less_or_other_or_two_that_changed_places(
    one: str, other: str, errors: int
) -> None:
    assert distance(one, other, 3) == distance(other, one, 3) == errors


def test_distances_are_not_counted_beyond_what_is_asked() -> None:
    assert distance("abcdef", "uvwxyz", 2) == 3


def test_longer_words_may_have_more_errors() -> None:
    tolerance = Tolerance()

    assert [tolerance.of(letters) for letters in (1, 3, 4, 7, 8, 20)] == [0, 0, 1, 1, 2, 2]
    assert Lexicon({"cat": 10}).near("bat") == []
    assert [near.word for near in Lexicon(WORDS).near("hedphonse")] == ["headphones"]
    assert Lexicon(WORDS).near("moosse") == []


def test_a_lexicon_without_words_knows_nothing() -> None:
    assert Lexicon({}).near("anything") == []


def test_an_unknown_word_is_taken_for_what_was_probably_meant() -> None:
    (reading,) = speller().readings(["ipone"])

    assert reading.text == "iphone"
    assert reading.correction == Correction("ipone", "iphone")


def test_the_more_frequent_of_two_is_meant_and_the_other_is_searched_for_too() -> None:
    (reading,) = speller({"shore": 10, "share": 500}).readings(["shxre"])

    assert reading.text == "share"
    weights = {each.text: each.weight for each in reading.others}
    assert weights["shxre"] == 1.0
    assert 0 < weights["shore"] < 0.5


def test_hardly_anybody_gets_the_first_letter_wrong() -> None:
    assert texts(list(speller({"house": 5, "mouse": 20}).readings(["hoose"]))) == ["house"]


def test_one_error_is_likelier_than_two() -> None:
    words = {"headphone": 10, "headphones": 200}

    assert texts(list(speller(words).readings(["headphne"]))) == ["headphone"]


def test_a_word_that_is_in_the_index_is_never_corrected() -> None:
    assert read("lamp", "house") == ["lamp", "house"]


def test_a_rare_word_is_suspected_beside_one_that_is_far_more_frequent() -> None:
    assert speller(ratio=100).suspected("house") == "mouse"
    assert speller(ratio=101).suspected("house") == ""
    assert speller(ratio=100).suspected("mouse") == ""
    assert speller(ratio=100).suspected("unheard") == ""


def test_a_plural_is_not_suspected_beside_its_singular() -> None:
    assert speller(ratio=2).suspected("phones") == ""


def test_numbers_are_never_corrected() -> None:
    assert read("15", "s23", "1234567") == ["15", "s23", "1234567"]


def test_a_space_too_few_is_put_back() -> None:
    readings = list(speller().readings(["wirelessmouse"]))

    assert texts(readings) == ["wireless", "mouse"]
    assert [each.correction for each in readings] == [
        Correction("wirelessmouse", "wireless mouse"),
        None,
    ]


def test_letters_and_numbers_are_told_apart_and_then_corrected() -> None:
    assert read("iphone13") == ["iphone", "13"]
    assert read("ipone13") == ["iphone", "13"]
    assert read("iphone99") == ["iphone99"]


def test_a_space_too_many_is_left_out() -> None:
    (reading,) = speller({"bluetooth": 30, "blue": 5}).readings(["blue", "tooth"])

    assert reading.text == "bluetooth"
    assert reading.correction == Correction("blue tooth", "bluetooth")


def test_what_was_written_is_always_searched_for_as_well() -> None:
    for written in (["ipone"], ["wirelessmouse"], ["ipone13"]):
        for reading in speller().readings(written):
            assert written[0] in [each.text for each in reading.others]


def test_nothing_is_corrected_where_that_is_off() -> None:
    off = speller(most=0, ratio=1)

    assert texts(list(off.readings(["ipone13", "head", "phones"]))) == ["ipone13", "head", "phones"]
    assert off.suspected("house") == ""
