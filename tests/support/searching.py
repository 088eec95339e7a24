"""A search service whose index and model can be slow or broken, in virtual time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inferd.call import Call
from inferd.config.search import Search as Settings
from inferd.deadline import NEVER, Deadline
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.documents import Documents, NewDocument
from inferd.services.search.engine import Engine
from inferd.services.search.index import TextIndex
from inferd.services.search.index_layout import Layout
from inferd.services.search.knowledge import Knowledge
from inferd.services.search.pages import Kept, PageExpired, PageTokens
from inferd.services.search.personal import Tastes
from inferd.services.search.questions import Bounds
from inferd.services.search.schema import IndexSchema
from inferd.services.search.searching import Snapshot
from inferd.services.search.serving import Serving
from inferd.services.search.standing import Standing
from inferd.services.search.text_query import Filter, Retrieved, StoredDocument, TextQuery
from inferd.services.search.writing_pen import Gone, Pen
from inferd.v1 import search_pb2 as pb
from support.guards import a_toolbox
from support.judges import Part

BEGIN_US = 1_700_000_000_000_000
FIELDS: Mapping[str, Any] = {
    "title": {"type": "text"},
    "brand": {"type": "keyword", "facet": True},
    "price": {"type": "number", "sortable": True},
}


class Shelf(Part):
    """An index as `TextIndex` is one, without threads: it takes as long as it is told."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        assert settings.index is not None
        self.schema = IndexSchema(settings.index.fields)
        self.documents = Documents(self.schema, settings.index)
        self.queries: list[TextQuery] = []
        self._clock = asyncio.get_running_loop().time
        self._pen = Pen(Layout(self.schema), None, 16_000_000)
        self._kept: Kept[Snapshot] = Kept(keep_s=60.0, at_most=100)
        self.epoch = 0
        self._publish()

    def put(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Have these documents, besides others."""
        made = [self.documents.checked(id, each) for id, each in documents.items()]
        good = [each for each in made if isinstance(each, NewDocument)]
        assert len(good) == len(made), made
        self._pen.write(good)
        self._publish()

    def take(self, *ids: str) -> None:
        """Have these documents no longer."""
        self._pen.write([Gone(id) for id in ids])
        self._publish()

    async def search(
        self, asked: TextQuery, deadline: Deadline = NEVER, epoch: int | None = None
    ) -> Retrieved:
        snapshot = self.at(epoch)
        self.queries.append(asked)
        await self.act()
        return snapshot.search(asked, {}, self._clock)

    async def get(
        self,
        ids: Sequence[str],
        deadline: Deadline = NEVER,
        epoch: int | None = None,
        filters: Sequence[Filter] = (),
    ) -> dict[str, StoredDocument]:
        return self.at(epoch).find(ids, {}, filters)

    def at(self, epoch: int | None) -> Snapshot:
        found = self._kept.get(self.epoch if epoch is None else epoch, self._clock())
        if found is None:
            raise PageExpired("it is no more", field="page_token")
        return found

    def keep(self, epoch: int) -> bool:
        return self._kept.prolong(epoch, self._clock())

    def _publish(self) -> None:
        self.epoch += 1
        now = Snapshot(self.epoch, self._pen.searcher, self._pen.layout, 0.0)
        self._kept.add(self.epoch, now, self._clock())


class Ranker(Part):
    """Likes what is dear, and remembers what it was told."""

    version = "3"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[float]] = []

    def find(self, name: str, version: str = "", call: Call | None = None) -> "Ranker":
        return self

    async def run(
        self,
        name: str,
        inputs: Mapping[str, NDArray[Any]],
        *,
        call: Call,
        deadline: Deadline,
        version: str = "",
        outputs: Sequence[str] = (),
    ) -> Mapping[str, NDArray[Any]]:
        await self.act()
        [told] = inputs.values()
        self.rows += told.tolist()
        return dict.fromkeys(outputs, told[:, :1].astype(np.float32))


class House:
    """Everything that answers a search."""

    def __init__(self, *, ranked: bool = True, **settings: Any) -> None:
        """Hits are ranked by their price, the dearest first, unless there is no model."""
        ranker = {"model": "ranker", "inputs": ["field.price"], "window": 20, "at_once": 5}
        given = {
            "index": {"fields": FIELDS},
            "personal": {"fields": {"brand": 1}, "max_shift": 3},
            "ranker": ranker if ranked else None,
            **settings,
        }
        self.settings = Settings.model_validate(given)
        clock = asyncio.get_running_loop().time
        self.shelf, self.ranker = Shelf(self.settings), Ranker()
        self.tastes, self.standing = Tastes(self.settings.personal), Standing(None)
        self.behaviour = SearchBehaviour(self.settings.behaviour)
        index = cast("TextIndex", self.shelf)
        knowledge = Knowledge(self.settings.query, index)
        self.heard: list[tuple[str, str, int]] = []
        self.engine = Engine(
            self.settings,
            index=lambda: index,
            behaviour=self.behaviour,
            models=self.ranker,
            toolbox=a_toolbox(clock),
        )
        self.serving = Serving(
            self.settings,
            self.engine,
            index=lambda: index,
            knowledge=lambda: knowledge,
            standing=self.standing,
            tastes=self.tastes,
            behaviour=self.behaviour,
            asked=lambda query, user, found: self.heard.append((query, user, found)),
            tokens=PageTokens(b"key", b"server"),
            bounds=Bounds(100),
            tested=None,
            bounds_s=(0.01, 0.1),
            clock=clock,
            now_us=lambda: BEGIN_US + round(clock() * 1e6),
        )

    async def search(self, query: str = "", *, within_s: float = 1.0, **more: Any) -> Any:
        """Return the answer to a search."""
        now = asyncio.get_running_loop().time()
        call = Call("Search", arrived=now, deadline=Deadline(now + within_s))
        return await self.serving.search(pb.SearchRequest(query=query, **more), call)

    async def found(self, query: str = "", **more: Any) -> list[str]:
        """Return the ids of a page."""
        return [each.id for each in (await self.search(query, **more)).hits]

    async def pages(self, query: str = "", **more: Any) -> list[Any]:
        """Return all pages."""
        pages = [await self.search(query, **more)]
        while token := pages[-1].next_page_token:
            pages.append(await self.search(query, page_token=token, **more))
        return pages


def cups(count: int) -> dict[str, dict[str, Any]]:
    """Return cups of rising price, every third of them of one brand."""
    return {
        f"c{number:02}": {"title": "cup", "brand": f"b{number % 3}", "price": float(number)}
        for number in range(count)
    }
