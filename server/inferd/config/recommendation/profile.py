"""What is read of a user before a list is made."""

from typing import Annotated

from pydantic import Field

from inferd.config.section import Positive, Section

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Variable = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=129)]


class Profile(Section):
    """Features of users, as `view.feature`. `features.definitions` declares them."""

    entity: Key = "user"
    """Whose features they are: its ids are the users' ids."""
    items: Variable = "user_recent.items"
    """What a user did lately, the newest first (`newest`): the items."""
    acts: Variable = "user_recent.acts"
    """What was done with each: `newest` of `event.name`. What is no event of
    `recommendation.interactions` is left out."""
    times: Variable | None = "user_recent.times"
    """And when: `newest` of `event.time_us`. None: that is not known."""
    features: dict[Key, Variable] = Field(default_factory=dict)
    """What else is read, by the names that it goes by (`user.<name>`)."""
    timeout_ms: Positive = 20.0
    """How long all of it may take. Then the list is for somebody of whom nothing is known."""
