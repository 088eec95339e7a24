"""Search: what is indexed, how queries are understood, and how what is found is ranked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_serializer, model_validator

from inferd.config.journal import Count
from inferd.config.search.behaviour import SearchBehaviour
from inferd.config.search.index import SearchIndex
from inferd.config.search.query import SearchQuery
from inferd.config.search.ranking import SearchCache, SearchPersonal, SearchRanker
from inferd.config.search.suggest import SearchSuggest
from inferd.config.section import Positive, Section


class Search(Section):
    """Search, and `inferd.v1.SearchService`."""

    index: SearchIndex | None = None
    """What documents look like; docs/search.md says how. None: there is no search service."""
    deadline_ms: Positive = 200.0
    """Of a call whose caller named none."""
    index_ms: Positive = 100.0
    """How long the index may take. Then what it answered before is given, if it did."""
    max_page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    max_items: Count = 1000
    """Documents, ids or clicks in one request."""
    standing: Path | None = None
    """A file where synonyms and curations are kept over restarts. None: nowhere."""
    page_key: SecretStr = SecretStr("")
    """Signs page tokens. Empty: another one at each start. Servers behind one address that share it
    do not share pages, as each has an index of its own: a token that comes to another one is said
    to have expired, and not to be forged."""
    query: SearchQuery = SearchQuery()
    ranker: SearchRanker | None = None
    """None: hits are in the order of their words."""
    personal: SearchPersonal = SearchPersonal()
    cache: SearchCache = SearchCache()
    suggest: SearchSuggest = SearchSuggest()
    behaviour: SearchBehaviour = SearchBehaviour()

    @model_validator(mode="after")
    def _fits(self) -> "Search":
        if self.index is None:
            return self
        fields = self.index.fields
        for name in self.personal.fields:
            if name not in fields or fields[name].type != "keyword":
                raise ValueError(f"personal.fields.{name}: the index has no such keyword")
        if self.ranker is not None and self.ranker.window > self.index.max_window:
            raise ValueError("ranker.window must not be above index.max_window")
        if self.max_page_size > self.index.max_window:
            raise ValueError("max_page_size must not be above index.max_window")
        window = self.max_page_size if self.ranker is None else self.ranker.window
        if window > self.index.max_depth:
            raise ValueError(f"index.max_depth must not be below {window}, what is ranked at once")
        return self

    # Under Envoy the server gets its configuration in JSON, and in it secrets are as they are.
    @field_serializer("page_key", when_used="json")
    def _in_clear(self, key: SecretStr) -> str:
        return key.get_secret_value()
