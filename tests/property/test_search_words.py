"""Words are words: whatever a text is, what was made of it once is left as it is."""

from hypothesis import given
from hypothesis import strategies as st

from inferd.services.search.words import folded, words_of


@given(st.text())
def test_words_are_made_of_themselves(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words
    assert not any(word.isspace() or " " in word for word in words)


@given(st.text())
def test_a_folded_text_is_folded(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(st.text(), st.text())
def test_what_is_separate_stays_so(one: str, two: str) -> None:
    assert words_of(f"{one} {two}") == words_of(one) + words_of(two)
