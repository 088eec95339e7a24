"""What is known of the index's words and values, so that queries are understood: kept up to date.

A lexicon takes a while to be made, so it is made in a thread, at most every few seconds, and takes
the place of the one before at once. Until then a new word is found, and nothing is corrected to it.
What synonyms say holds from the next query on.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Final

from inferd.config.search.query import SearchQuery as Settings
from inferd.errors import InferdError
from inferd.services.search.index import TextIndex
from inferd.services.search.query.lexicon import Lexicon
from inferd.services.search.query.phrases import Phrase, Phrases
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.query.understood import Intent, Understood
from inferd.services.search.text_query import Facet, TextQuery

REFRESH_S: Final = 2.0
"""How often it is looked whether the words are others."""
MAX_NAMES: Final = 20_000
"""Values of a field that queries can name, the most frequent ones."""

log = logging.getLogger(__name__)


class Knowledge:
    """Understands queries. Lives on the event loop."""

    def __init__(self, settings: Settings, index: TextIndex) -> None:
        self._settings = settings
        self._index = index
        self._lexicon = Lexicon({})
        self._rules = Rules.of(settings)
        #: Of the index, when the words were looked at last.
        self._epoch = -1

    @property
    def terms(self) -> int:
        """How many words there are."""
        return len(self._lexicon)

    def understand(
        self, text: str, *, intent: Intent | None = None, verbatim: bool = False
    ) -> Understood:
        """Return what a query asks for. Raises `InvalidRequest` if it is too long."""
        return understand(text, self._lexicon, self._rules, intent=intent, verbatim=verbatim)

    def use(self, synonyms: Phrases[Phrase]) -> None:
        """Go by other synonyms, as `synonyms_of` returns them."""
        self._rules = replace(self._rules, synonyms=synonyms)

    async def refresh(self) -> None:
        """Know the words and values that there are now."""
        if self._epoch == self._index.epoch:
            return
        epoch = self._index.epoch
        fields = sorted({each.field for each in self._settings.entities.values()})
        facets = tuple(Facet(each, MAX_NAMES) for each in fields)
        found = await self._index.search(TextQuery(facets=facets, window=1))
        values = {it.field: [str(value) for value, _ in it.counts] for it in found.facets}
        terms = dict(self._index.vocabulary.counts)
        lexicon, rules = await asyncio.to_thread(
            lambda: (
                lexicon_of(self._settings, terms, values),
                Rules.of(self._settings, values=values),
            )
        )
        self._lexicon, self._epoch = lexicon, epoch
        self._rules = replace(rules, synonyms=self._rules.synonyms)  # others may be in force by now

    async def run(self) -> None:
        """Keep it up to date, until cancelled."""
        while True:
            try:
                await self.refresh()
            except InferdError as error:  # it is tried again
                log.warning("words of the index could not be read: %s", error)
            except Exception:  # and so it is whatever happens, or nothing would be known any more
                log.exception("words of the index could not be read")
            await asyncio.sleep(REFRESH_S)
