"""The model that says of a user where they are in the space of items' vectors."""

from typing import Annotated

from pydantic import Field

from inferd.config.section import Positive, Section


class UserVectors(Section):
    """A tower for users: told what the user did, and asked for every list that is made.

    Its input is `history`, one row of float32.
    """

    model: Annotated[str, Field(min_length=1)]
    """Its name in the repository."""
    version: str = ""
    """A number or a label. Empty: the highest."""
    output: str = "vector"
    """Its output, float32 of as many elements as `catalogue.dimensions`."""
    timeout_ms: Positive = 10.0
    """How long it may take. Later is as good as failed."""
