"""Who asks for lists, and what: the same in the process that asks and in the one that judges."""

from inferd.v1 import recommendation_pb2 as pb
from support.recommending import METHODS

RECOMMEND = f"{METHODS}/GetRecommendations"
USERS = 40
"""All of them have looked at something."""
COUNT = 10
FRESH = 4
"""Of so many calls, all but one want a list that is made for them."""


def user_of(number: int) -> str:
    """Return who makes the call of a number."""
    return f"user-{number % USERS}"


def id_of(run: str, number: int) -> str:
    """Return the id of a request."""
    return f"{run}-{number}"


def request(run: str, number: int) -> bytes:
    """Return what the call of a number asks."""
    return pb.GetRecommendationsRequest(
        user_id=user_of(number),
        count=COUNT,
        request_id=id_of(run, number),
        skip_cache=number % FRESH != 0,
    ).SerializeToString()
