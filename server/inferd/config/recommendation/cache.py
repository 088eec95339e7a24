"""Answers that are kept for a while."""

from typing import Annotated

from pydantic import Field

from inferd.config.resilience import Count
from inferd.config.section import MIB, NotNegative, Section


class AnswerCache(Section):
    """Lists are given again to the same user, for the same request, while nothing has changed."""

    ttl_s: NotNegative = 300.0
    """How long. 0: never."""
    max_users: Count = 50_000
    max_bytes: Count = 64 * MIB
    """An answer of ten items takes about 3.5 kB."""
    max_per_user: Annotated[int, Field(ge=1, le=1000)] = 16
    """Different requests of one user; the oldest leaves."""
    parts_of_day: Annotated[int, Field(ge=1, le=24)] = 4
    """At another time of the day it is another request."""
