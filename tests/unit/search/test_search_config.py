"""What of the configuration of search does not go together."""

from typing import Any

import pytest
from pydantic import ValidationError

from inferd.config.search import Search

FIELDS = {"title": {"type": "text"}, "brand": {"type": "keyword"}}


@pytest.mark.parametrize(
    ("search", "index", "problem"),
    [
        ({"ranker": {"model": "r", "inputs": ["x"], "window": 201}}, {}, r"ranker\.window must"),
        ({"max_page_size": 201}, {}, "max_page_size must"),
        ({"max_page_size": 90}, {"max_depth": 89}, r"index\.max_depth must not be below 90"),
        (
            {"ranker": {"model": "r", "inputs": ["x"], "window": 150}},
            {"max_depth": 149},
            r"index\.max_depth must not be below 150",
        ),
        ({"personal": {"fields": {"title": 1}}}, {}, r"personal\.fields\.title"),
        ({}, {"page_key": "secret"}, "page_key"),
    ],
)
def test_what_does_not_go_together_is_told(
    search: dict[str, Any], index: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Search.model_validate({"index": {"fields": FIELDS, **index}, **search})


def test_a_depth_of_one_window_is_enough() -> None:
    index = {"fields": FIELDS, "max_depth": 90}
    assert Search.model_validate({"index": index, "max_page_size": 90}).index is not None
