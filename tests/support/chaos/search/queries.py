"""What is asked, by the number of a call: both those who ask and those who judge know."""

from collections.abc import Mapping
from typing import Any

from inferd.v1 import search_pb2 as pb

METHODS = "/inferd.v1.SearchService"
SEARCH = f"{METHODS}/Search"
KINDS = ("cup", "plate", "bowl", "vase", "lamp", "chair", "table", "rug")
COLOURS = ("red", "blue", "green", "white", "black")
DOCUMENTS = 1_000


def stock() -> dict[str, Mapping[str, Any]]:
    """Return what there is when nothing is broken yet: some of everything that is asked for."""
    return {
        f"d{number}": {
            "title": f"{COLOURS[number % 5]} {KINDS[number // 5 % 8]}",
            "brand": f"brand{number % 7}",
            "price_minor": 100.0 + number,
        }
        for number in range(DOCUMENTS)
    }


def query(number: int) -> str:
    """Return what a call searches for."""
    kind = KINDS[number % 8]
    return kind if number % 3 else f"{COLOURS[number // 8 % 5]} {kind}"


def request(number: int) -> bytes:
    """Return a search, encoded: every other one may be answered by what is cached."""
    return pb.SearchRequest(
        query=query(number), user_id=f"u{number % 50}", skip_cache=number % 2 == 0
    ).SerializeToString()
