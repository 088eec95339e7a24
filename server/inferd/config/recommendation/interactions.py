"""What is recorded of what users do with items."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from inferd.config.section import Section

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
ActName = Literal["impression", "view", "click", "cart", "purchase", "dislike"]
Said = Literal[
    "user_id",
    "item_id",
    "act",
    "time_us",
    "request_id",
    "position",
    "quantity",
    "amount_minor",
    "item.category",
    "item.brand",
    "item.merchant",
    "item.price_minor",
    "item.currency",
]
"""What there is to be said of an interaction. `amount_minor` is the price of the item times the
quantity. What begins with `item.` is as the catalogue has it, and null where it has not."""

WHO_AND_WHAT: dict[str, Said] = {"user": "user_id", "item": "item_id"}


class InteractionEvent(Section):
    """An event of features."""

    event: Key
    """As `features.definitions` declares it."""
    fields: dict[Key, Said] = Field(default_factory=lambda: dict(WHO_AND_WHAT))
    """What its fields are, by name."""


_EVENTS: dict[ActName, str] = {
    "impression": "impression",
    "view": "page_view",
    "click": "click",
    "cart": "cart",
    "purchase": "purchase",
    "dislike": "dislike",
}


class Interactions(Section):
    """Interactions, and the events of features that they are recorded as."""

    events: dict[ActName, InteractionEvent] = Field(
        default_factory=lambda: {act: InteractionEvent(event=it) for act, it in _EVENTS.items()}
    )
    """By what was done. What is not here is refused."""

    @model_validator(mode="after")
    def _told_apart(self) -> "Interactions":
        names = [each.event for each in self.events.values()]
        for act, it in self.events.items():
            if names.count(it.event) > 1:
                raise ValueError(f"events.{act}.event: another is recorded as {it.event}, too")
        return self
