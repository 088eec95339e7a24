"""Queries have one form, whoever types them and on whatever."""

import pytest

from inferd.errors import InvalidRequest
from inferd.services.search.query.normal import key_of, normalise
from inferd.services.search.words import words_of


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("  iPhone\t13 \n", "iphone 13"),
        ("Café ÉTÉ", "cafe ete"),
        ("ＩＰＨＯＮＥ １３", "iphone 13"),  # noqa: RUF001
        ("straße", "strasse"),
        ("under $500", "under $500"),
        ("", ""),
    ],
)
def test_case_accents_width_and_spaces_do_not_matter(typed: str, form: str) -> None:
    assert normalise(typed) == form


@pytest.mark.parametrize("unseen", ["\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\0", "\x1b"])
def test_what_cannot_be_seen_is_no_part_of_a_query(unseen: str) -> None:
    assert normalise(f"{unseen}head{unseen}phones{unseen}") == "headphones"


@pytest.mark.parametrize("unseen", ["\u00ad", "\u200b", "\u200d", "\u202e", "\u2066", "\ufeff"])
def test_documents_are_written_with_them_and_still_found(unseen: str) -> None:
    assert words_of(f"Head{unseen}phones") == words_of(normalise(f"head{unseen}phones"))


def test_one_character_cannot_become_a_long_query() -> None:
    assert len(normalise("\ufdfa" * 1000)) <= 1000


def test_a_query_that_is_too_long_is_refused_by_name() -> None:
    assert len(normalise("x" * 1000)) == 1000

    with pytest.raises(InvalidRequest, match="10000 characters; at most 1000") as refused:
        normalise("x" * 10_000)

    assert [each.field for each in refused.value.violations] == ["query"]


def test_curations_go_by_words_whatever_is_between_them() -> None:
    assert key_of("Sony -- WH/1000!") == key_of("sony wh 1000") == "sony wh 1000"
