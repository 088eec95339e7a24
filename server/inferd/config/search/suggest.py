"""Suggestions: what is remembered of queries, and what is suggested of them."""

from typing import Annotated

from pydantic import Field

from inferd.config.section import Positive, Section


class SearchSuggest(Section):
    """How what somebody begins to type may go on."""

    half_life_h: Positive = 72.0
    """A query that was asked so long ago counts for half."""
    users: Annotated[int, Field(ge=1, le=100)] = 3
    """So many different users must have asked a query before it is suggested to anybody else."""
    max_queries: Annotated[int, Field(ge=1)] = 50_000
    """Queries that are remembered, of those that may be suggested and of the others each. With
    more, those are forgotten that count little and were not asked for long."""
    max_query_characters: Annotated[int, Field(ge=1, le=200)] = 60
    """Longer ones are not suggested."""
    max_terms: Annotated[int, Field(ge=0)] = 100_000
    """Words and values of documents that are suggested, the most frequent ones."""
    term_weight: Annotated[float, Field(ge=0)] = 0.1
    """What a document that has a word counts, beside a user who asked for it."""
    recent: Annotated[int, Field(ge=0, le=20)] = 3
    """Suggestions that a user's own last queries may take."""
    refresh_s: Positive = 15.0
    """How often what was asked of late becomes suggestions."""
