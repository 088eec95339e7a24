"""Search as an ordinary engineer would write it: every step waits for the one before.

`grpc.aio` on uvloop; the query is understood, tantivy is called where the request is, features are
made, the model is called on another server, and the page is written. Documents are written and
committed the same way, one request of a stream after the other. What things mean is inferd's own:
the same understanding, index, features, model and messages, so that both sides find alike. It
promises less: there is no budget for any step, nothing stands in for what fails, no two requests
share a commit, nothing is cached but documents, nothing is personal, and pages are the first ones.

    python -m baselines.search_plain --config configs/shop/search.yaml --port 8001 --models 8002
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from inferd.app.settings import load
from inferd.config import Config
from inferd.errors import InvalidRequest
from inferd.oip import grpc_service_pb2 as oip
from inferd.services.search import answers, questions
from inferd.services.search.answers import Hit
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.documents import Documents, NewDocument
from inferd.services.search.features import SearchFeatures
from inferd.services.search.index_layout import Layout
from inferd.services.search.query.lexicon import Lexicon
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.query.understood import Understood
from inferd.services.search.questions import Bounds, Question
from inferd.services.search.schema import IndexSchema
from inferd.services.search.searching import Snapshot
from inferd.services.search.text_query import (
    Facet,
    Retrieved,
    Scores,
    StoredDocument,
    TextQuery,
)
from inferd.services.search.writing_pen import Pen
from inferd.v1 import search_pb2 as pb

INFER = "/inference.GRPCInferenceService/ModelInfer"
REFRESH_S = 2.0
"""How often the words are looked at, as inferd does."""
MAX_NAMES = 20_000
RESULT = pb.IndexDocumentsResponse.Result


def now_us() -> int:
    """Return the time of day."""
    return round(time.time() * 1e6)  # noqa: TID251 - what is looked at has times of day


class PlainSearch:
    """Finds, ranks and writes, step by step."""

    def __init__(self, config: Config, models: grpc.aio.Channel) -> None:
        settings = config.search
        assert settings.index is not None
        assert settings.ranker is not None
        self._settings, self._ranker = settings, settings.ranker
        self._index = settings.index
        self._schema = IndexSchema(settings.index.fields)
        self._documents = Documents(self._schema, settings.index)
        layout = Layout(self._schema)
        if settings.index.directory is not None:
            settings.index.directory.mkdir(parents=True, exist_ok=True)
        self._pen = Pen(layout, settings.index.directory, settings.index.writer_bytes)
        self._epoch = 0
        self._seen: dict[int, StoredDocument] = {}
        self._features = SearchFeatures(self._ranker.inputs, missing=self._ranker.missing)
        self._behaviour = SearchBehaviour(settings.behaviour)
        self._lexicon, self._rules = Lexicon({}), Rules.of(settings.query)
        self._known_at = 0.0
        self._known = -1
        self._infer: Any = models.unary_unary(
            INFER, oip.ModelInferRequest.SerializeToString, oip.ModelInferResponse.FromString
        )

    async def search(
        self, request: pb.SearchRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.SearchResponse:
        """Answer `Search`."""
        began = time.perf_counter()
        try:
            asked = questions.question(request, self._schema, Bounds(self._settings.max_page_size))
            self._refresh()
            understood = understand(asked.query, self._lexicon, self._rules)
            found = self._found(understood, asked)
        except InvalidRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        scores, version = np.zeros(0, np.float32), ""
        if found.ids:
            told = self._features.rows(understood, found, self._behaviour, now_us())
            scores, version = await self._asked(told, context.time_remaining())
        order = np.lexsort((np.arange(len(scores)), -scores))[: asked.size]
        hits = [
            Hit(document=found.documents[place], score=float(scores[place]))
            for place in order.tolist()
        ]
        self._behaviour.shown([each.document.id for each in hits], now_us())
        return pb.SearchResponse(
            request_id=asked.request_id,
            hits=[answers.hit(each, self._schema.returned, {}, debug=False) for each in hits],
            total=found.total,
            facets=answers.facets(found.facets),
            understood=answers.understood(understood),
            source=pb.SearchResponse.COMPUTED,
            latency_ms=1000 * (time.perf_counter() - began),
            index_epoch=self._epoch,
            ranker=version,
        )

    async def index(
        self,
        requests: AsyncIterator[pb.IndexDocumentsRequest],
        _: "grpc.aio.ServicerContext[Any, Any]",
    ) -> AsyncIterator[pb.IndexDocumentsResponse]:
        """Answer `IndexDocuments`."""
        async for request in requests:
            made = [self._new(each) for each in request.documents]
            good = [each for each in made if isinstance(each, NewDocument)]
            self._pen.write(good)
            self._epoch += 1
            status = pb.IndexDocumentsResponse
            yield pb.IndexDocumentsResponse(
                results=[
                    RESULT(
                        status=status.INDEXED if isinstance(each, NewDocument) else status.REJECTED
                    )
                    for each in made
                ],
                index_epoch=self._epoch,
            )

    def _new(self, message: pb.Document) -> object:
        given = {
            name: value.text if value.WhichOneof("value") == "text" else value.number
            for name, value in message.fields.items()
        }
        return self._documents.checked(message.id, given)

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._epoch, self._pen.searcher, self._pen.layout, self._index.phrase_boost)

    def _found(self, understood: Understood, asked: Question) -> Retrieved:
        query = TextQuery(
            words=understood.words,
            filters=(*asked.filters, *understood.filters),
            sort=asked.sort,
            facets=asked.facets,
            window=self._ranker.window,
        )
        found = self._snapshot().search(query, self._seen, time.perf_counter)
        self._seen.update((each.number, each) for each in found.documents)
        return found

    def _refresh(self) -> None:
        """Know the words that there are, now and then."""
        now = time.perf_counter()
        if self._known == self._epoch or now < self._known_at + REFRESH_S:
            return
        query = self._settings.query
        fields = sorted({each.field for each in query.entities.values()})
        facets = tuple(Facet(each, MAX_NAMES) for each in fields)
        asked = TextQuery(facets=facets, window=1)
        found = self._snapshot().search(asked, self._seen, time.perf_counter)
        values = {it.field: [str(value) for value, _ in it.counts] for it in found.facets}
        self._lexicon = lexicon_of(query, self._pen.words(), values)
        self._rules = Rules.of(query, (), values)
        self._known, self._known_at = self._epoch, now

    async def _asked(self, rows: Scores, left_s: float) -> tuple[Scores, str]:
        it = self._ranker
        request = oip.ModelInferRequest(model_name=it.model, model_version=it.version)
        request.inputs.add(name=it.tensor, datatype="FP32", shape=rows.shape)
        request.raw_input_contents.append(rows.tobytes())
        answer = await self._infer(request, timeout=left_s)
        said = np.frombuffer(answer.raw_output_contents[0], np.float32)
        return said.reshape(len(rows), -1)[:, -1], f"{it.model}/{answer.model_version}"


async def serve(config: Config, port: int, models: int) -> None:
    """Serve until SIGTERM."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{models}") as channel:
        search = PlainSearch(config, channel)
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers = {
            "Search": grpc.unary_unary_rpc_method_handler(
                search.search,
                request_deserializer=pb.SearchRequest.FromString,
                response_serializer=pb.SearchResponse.SerializeToString,
            ),
            "IndexDocuments": grpc.stream_stream_rpc_method_handler(
                search.index,
                request_deserializer=pb.IndexDocumentsRequest.FromString,
                response_serializer=pb.IndexDocumentsResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("inferd.v1.SearchService", handlers),)
        )
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        await stopping.wait()
        await server.stop(grace=1.0)


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="Search the usual way.")
    parser.add_argument("--config", type=Path, required=True, help="as of `inferd serve`")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=int, required=True, help="the port of their server")
    args = parser.parse_args()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(load(args.config, os.environ, {}), args.port, args.models))


if __name__ == "__main__":
    main()
