"""A server that searches a handful of things to buy, and somebody who asks it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import yaml

from inferd.v1 import search_pb2 as pb
from inferd_client import Client
from support.features import ONCE, UNHEDGED
from support.fraud_models import write_model
from support.server import Server, serving
from support.transports import Transport

METHODS = "/inferd.v1.SearchService"
#: Far more than an answer takes, on any machine.
AMPLE_S = 30.0
#: No test is about what a busy machine does to a search.
UNHURRIED = {"deadline_ms": 20_000, "index_ms": 5_000}

FIELDS: Mapping[str, Any] = {
    "title": {"type": "text", "boost": 3},
    "description": {"type": "text"},
    "brand": {"type": "keyword", "facet": True, "suggest": True},
    "category": {"type": "keyword", "facet": True, "suggest": True},
    "price_minor": {"type": "number", "sortable": True},
    "new": {"type": "flag", "facet": True},
    "cost_minor": {"type": "number", "returned": False},
}
QUERY: Mapping[str, Any] = {
    "entities": {
        "brand": {"field": "brand", "aliases": {"iphone": "Apple"}},
        "category": {"field": "category", "filter": "alone"},
    },
    "prices": {"field": "price_minor", "minor_units": {"EUR": 100, "USD": 92}},
}
RANKER: Mapping[str, Any] = {
    "model": "search_ranker",
    "inputs": ["best(text.score)", "log(document.clicks_7d)", "pair.share"],
    "timeout_ms": 5_000,
    "window": 50,
}
"""Words count, and clicks count for more."""

PHONES: Mapping[str, Mapping[str, Any]] = {
    "i13": {
        "title": "iPhone 13",
        "description": "Six inches, and <b>two</b> cameras",
        "brand": "Apple",
        "category": "phone",
        "price_minor": 42_900.0,
        "new": True,
        "cost_minor": 30_000.0,
    },
    "i13p": {
        "title": "iPhone 13 Pro",
        "description": "Six inches, and three cameras",
        "brand": "Apple",
        "category": "phone",
        "price_minor": 79_900.0,
    },
    "p7": {
        "title": "Pixel 7",
        "description": "A phone with a camera",
        "brand": "Google",
        "category": "phone",
        "price_minor": 39_900.0,
    },
    "case": {
        "title": "Case for iPhone 13",
        "description": "Leather",
        "brand": "Spigen",
        "category": "case",
        "price_minor": 1_900.0,
    },
    "lamp": {
        "title": "Desk lamp",
        "description": "Warm light for a café",
        "brand": "Lumo",
        "category": "lamp",
        "price_minor": 2_500.0,
    },
}


def settings(**more: Any) -> dict[str, Any]:
    """Return the configuration of search; its files are beside the configuration."""
    return {
        "index": {"fields": dict(FIELDS), "directory": "index", "commit_ms": 5},
        "standing": "standing.json",
        "query": dict(QUERY),
        "suggest": {"refresh_s": 0.1},
        "personal": {"fields": {"brand": 2, "category": 1}},
        **UNHURRIED,
        **more,
    }


def written(directory: Path, **search: Any) -> Path:
    """Write a configuration. `config` is what it says besides of search."""
    directory.mkdir(parents=True, exist_ok=True)
    more = search.pop("config", {})
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump({"search": settings(**search), **more}))
    return path


def write_ranker(repository: Path) -> Path:
    """Write the model of `RANKER`, and return the repository."""
    write_model(repository, "search_ranker", (1.0, 2.0, 4.0), -1.0)
    return repository


def document(id: str, **fields: Any) -> pb.Document:
    """Return a document with these fields."""
    return pb.Document(id=id, fields={name: _value(it) for name, it in fields.items()})


def _value(it: Any) -> pb.DocumentValue:
    match it:
        case bool():
            return pb.DocumentValue(flag=it)
        case str():
            return pb.DocumentValue(text=it)
        case int() | float():
            return pb.DocumentValue(number=it)
        case _:
            return pb.DocumentValue(texts={"texts": [*it]})


class Seeker:
    """Asks a `SearchService`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = Client(address, retry=ONCE, hedge=UNHEDGED)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def call(self, rpc: str, request: Any, response: Any, *, fault: str = "") -> Any:
        """Call any method but the stream. Raises what the client raises."""
        broken = {"x-fault": fault} if fault else {}
        answer = self._client.call(
            f"{METHODS}/{rpc}", request, response, timeout_s=AMPLE_S, metadata=broken
        )
        return answer.message

    def search(self, query: str = "", *, fault: str = "", **more: Any) -> Any:
        """Return the answer to a search; `fault` is what is broken meanwhile, by `x-fault`."""
        request = pb.SearchRequest(query=query, **more)
        return self.call("Search", request, pb.SearchResponse, fault=fault)

    def found(self, query: str = "", **more: Any) -> list[str]:
        """Return the ids of a page."""
        return [each.id for each in self.search(query, **more).hits]

    def pages(self, query: str = "", **more: Any) -> Iterator[Any]:
        """Yield the pages of an answer, from the first to the last."""
        token = ""
        while True:
            page = self.search(query, page_token=token, **more)
            yield page
            token = page.next_page_token
            if not token:
                return

    def index(self, *requests: Iterable[pb.Document]) -> list[pb.IndexDocumentsResponse]:
        """Stream documents, some with each request, and return the answers."""
        with grpc.insecure_channel(self.address) as channel:
            stream = channel.stream_stream(
                f"{METHODS}/IndexDocuments",
                request_serializer=pb.IndexDocumentsRequest.SerializeToString,
                response_deserializer=pb.IndexDocumentsResponse.FromString,
            )
            messages = (pb.IndexDocumentsRequest(documents=each) for each in requests)
            return [*stream(messages, timeout=AMPLE_S)]

    def stock(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Index documents, all of which are to be taken."""
        [answer] = self.index([document(id, **each) for id, each in documents.items()])
        assert all(each.status == pb.IndexDocumentsResponse.INDEXED for each in answer.results)

    def delete(self, *ids: str) -> list[bool]:
        """Delete documents, and return which of them were there."""
        request = pb.DeleteDocumentsRequest(ids=ids)
        return [*self.call("DeleteDocuments", request, pb.DeleteDocumentsResponse).deleted]

    def click(self, id: str, query: str, user: str = "", **more: Any) -> str:
        """Click a hit, and return what became of that."""
        kind = more.pop("type", pb.Click.CLICK)
        one = pb.Click(document_id=id, query=query, user_id=user, type=kind, **more)
        request = pb.RecordClickRequest(clicks=[one])
        [result] = self.call("RecordClick", request, pb.RecordClickResponse).results
        return pb.RecordClickResponse.Status.Name(result.status)

    def suggested(self, prefix: str, **more: Any) -> list[str]:
        """Return how a prefix may go on."""
        request = pb.SuggestRequest(prefix=prefix, **more)
        return [each.text for each in self.call("Suggest", request, pb.SuggestResponse).suggestions]

    def put_synonyms(self, *sets: Sequence[str], of: str = "") -> None:
        """Put synonyms in force."""
        synonyms = [pb.SynonymSet(words=each, of=of) for each in sets]
        request = pb.PutSynonymsRequest(synonyms=synonyms)
        self.call("PutSynonyms", request, pb.PutSynonymsResponse)

    def put_curations(self, *curations: pb.Curation) -> None:
        """Put curations in force."""
        request = pb.PutCurationsRequest(curations=curations)
        self.call("PutCurations", request, pb.PutCurationsResponse)

    def describe(self) -> Any:
        """Return what there is."""
        return self.call("DescribeIndex", pb.DescribeIndexRequest(), pb.DescribeIndexResponse)


def a_server(
    stack: ExitStack,
    directory: Path,
    repository: Path,
    *,
    transport: Transport = "grpcio",
    exit_code: int = 0,
    alarming: bool = False,
    environment: Mapping[str, str] | None = None,
    **search: Any,
) -> tuple[Server, Seeker]:
    """Start a server, and return it with somebody who asks."""
    server = stack.enter_context(
        serving(
            directory,
            "--config",
            str(written(directory, **search)),
            repository=repository,
            transport=transport,
            exit_code=exit_code,
            alarming=alarming,
            environment=environment,
        )
    )
    seeker = Seeker(server.address)
    stack.callback(seeker.close)
    return server, seeker
