"""What a request has many of: what is wrong with one harms no other."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from inferd.errors import InvalidRequest, Violation
from inferd.v1 import features_pb2 as pb

AT_A_TIME = 50
"""Are looked at before others have their turn."""

Message = TypeVar("Message")
Good = TypeVar("Good")


class Batch(NamedTuple, Generic[Good]):
    """What is in one request."""

    #: What may be stored, in order.
    good: Sequence[Good]
    #: One for each that came: what is wrong with it.
    problems: Sequence[InvalidRequest | None]

    def refusal(self) -> InvalidRequest:
        """Return what is said if nothing is good."""
        wrong: list[Violation] = [
            each for problem in self.problems if problem for each in problem.violations
        ]
        return InvalidRequest(f"{wrong[0].field}: {wrong[0].description}", violations=wrong)


async def checked(
    messages: Sequence[Message], check: Callable[[Message, str], Good], *, field: str, most: int
) -> Batch[Good]:
    """Return what came, checked. Raises `InvalidRequest` where there is nothing, or too much.

    `check` is given a message and where it is, and raises `InvalidRequest`.
    """
    if not 1 <= len(messages) <= most:
        raise InvalidRequest(f"there must be 1 to {most} {field}, not {len(messages)}", field=field)
    good: list[Good] = []
    problems: list[InvalidRequest | None] = []
    for number, message in enumerate(messages):
        try:
            good.append(check(message, f"{field}[{number}]"))
        except InvalidRequest as problem:
            problems.append(problem)
        else:
            problems.append(None)
        if number % AT_A_TIME == AT_A_TIME - 1:
            await asyncio.sleep(0)  # others have deadlines, too
    return Batch(good, problems)


def described(problem: InvalidRequest) -> list[pb.WriteResult.Problem]:
    """Return all that is wrong, as messages."""
    return [
        pb.WriteResult.Problem(field=each.field, description=each.description)
        for each in problem.violations
    ]
