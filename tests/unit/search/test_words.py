import pytest

from inferd.services.search.words import folded, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("iPhone13, iphone 13", ["iphone13", "iphone", "13"]),
        ("Café CAFE\u0301", ["cafe", "cafe"]),
        ("Straße ŁÓDŹ Ærø naïve", ["strasse", "lodz", "aero", "naive"]),
        ("\uff26\uff35\uff2c\uff2c \ufb01ne", ["full", "fine"]),
        ("don't snake_case a-b", ["don", "t", "snake", "case", "a", "b"]),
        ("日本 123", ["日本", "123"]),
        ("\u202e\u200b*\0", []),
        ("x" * 100, ["x" * 64, "x" * 36]),
    ],
)
def test_a_text_is_small_plain_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_a_text_of_plain_letters_is_only_made_small() -> None:
    assert folded("A-b C") == "a-b c"
