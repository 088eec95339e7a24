"""What there is to buy, put into the index of a server that searches."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

import grpc

from inferd.services.search.documents import Given
from inferd.v1 import search_pb2 as pb
from shop.searching import documents
from shop.world import World

METHOD = "/inferd.v1.SearchService/IndexDocuments"
BATCH = 500
"""Documents in one request."""
TIMEOUT_S = 60.0


def messages(world: World) -> Iterator[pb.Document]:
    """Yield a document for every item."""
    for id, fields in documents(world):
        yield message(id, fields)


def message(id: str, fields: Given) -> pb.Document:
    """Return a document whose fields are texts and numbers."""
    return pb.Document(
        id=id,
        fields={
            name: pb.DocumentValue(text=value)
            if isinstance(value, str)
            else pb.DocumentValue(number=float(str(value)))
            for name, value in fields.items()
        },
    )


def index(target: str, found: Iterable[pb.Document]) -> Counter[str]:
    """Send documents to a server; return what became of them. Raises `grpc.RpcError`."""
    left = iter(found)
    batches = iter(lambda: [*islice(left, BATCH)], [])
    requests = (pb.IndexDocumentsRequest(documents=some) for some in batches)
    status = pb.IndexDocumentsResponse.Status
    with grpc.insecure_channel(target) as channel:
        answers = channel.stream_stream(
            METHOD,
            request_serializer=pb.IndexDocumentsRequest.SerializeToString,
            response_deserializer=pb.IndexDocumentsResponse.FromString,
        )(requests, timeout=TIMEOUT_S)
        return Counter(
            status.Name(each.status).lower() for answer in answers for each in answer.results
        )
