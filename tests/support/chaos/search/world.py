"""The server that is broken: a search whose documents change all the time."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import grpc
import yaml

from inferd.v1 import search_pb2 as pb
from inferd_client import InferdError
from support import seekers
from support.chaos.search.queries import METHODS, stock
from support.chaos.world import BREAKER, World, admin_of, with_examples
from support.redis import RedisServer
from support.seekers import Seeker, document, write_ranker
from support.server import Server, eventually, serving
from support.transports import Transport

RATES = {"low": 40.0, "full": 80.0, "burst": 600.0}
"""Searches per second. The last is more than two cores can answer."""
MAX_CALLS = 20
TOGETHER, EVERY_S = 5, 0.05
"""Documents that come: 100 a second."""


class Stockist:
    """Sends documents, and knows which were acknowledged. What is refused it sends no more."""

    def __init__(self, address: str, run: str) -> None:
        self._address = address
        self._run = run
        self._over = threading.Event()
        self._number = 0
        self.acknowledged: list[str] = []

    @contextmanager
    def sending(self) -> Iterator["Stockist"]:
        """Send for as long as the block lasts."""
        thread = threading.Thread(target=self._send)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _send(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            call = channel.stream_stream(
                f"{METHODS}/IndexDocuments",
                request_serializer=pb.IndexDocumentsRequest.SerializeToString,
                response_deserializer=pb.IndexDocumentsResponse.FromString,
            )
            while not self._over.is_set():
                sent: list[list[str]] = []
                with suppress(grpc.RpcError):
                    for place, answer in enumerate(call(self._requests(sent), timeout=20)):
                        assert all(
                            it.status == pb.IndexDocumentsResponse.INDEXED for it in answer.results
                        )
                        self.acknowledged += sent[place]
                self._over.wait(EVERY_S)

    def _requests(self, sent: list[list[str]]) -> Iterator[pb.IndexDocumentsRequest]:
        while not self._over.is_set():
            ids = [f"{self._run}-{self._number + each}" for each in range(TOGETHER)]
            self._number += TOGETHER
            sent.append(ids)
            some = [document(each, title="red cup", price_minor=1.0) for each in ids]
            yield pb.IndexDocumentsRequest(documents=some)
            self._over.wait(EVERY_S)


class Shop(World):
    """A server that searches."""

    def __init__(self, server: Server, channel: Any, house: "House") -> None:
        super().__init__(server, cast("RedisServer", None), channel, house.models)
        self.directory = house.directory
        self.seeker = Seeker(server.address)

    def missing(self, ids: list[str]) -> list[str]:
        """Return those of these documents that are not there."""
        there: set[str] = set()
        for begin in range(0, len(ids), 100):
            request = pb.GetDocumentsRequest(ids=ids[begin : begin + 100])
            found = self.seeker.call("GetDocuments", request, pb.GetDocumentsResponse)
            there.update(each.id for each in found.documents)
        return [each for each in ids if each not in there]

    def takes_documents(self) -> bool:
        """Return whether a document is taken now."""
        with suppress(InferdError, grpc.RpcError):
            self.seeker.index([document("probe", title="probe")])
            return True
        return False

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Have no file of the server grow beyond a few bytes for as long as the block lasts."""
        before = resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (64, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, before)
        eventually(self.takes_documents)


class House:
    """What outlives a server: its index and its model."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.models = write_ranker(directory / "models")

    @contextmanager
    def shop(self, transport: Transport, *, exit_code: int = 0) -> Iterator[Shop]:
        """Run a server for as long as the block lasts."""
        with (
            serving(
                self.directory,
                *("--config", str(self._config()), "--control-mode", "explicit"),
                *("--load-model", "*"),
                repository=self.models,
                transport=transport,
                environment=with_examples(),
                exit_code=exit_code,
            ) as server,
            grpc.insecure_channel(admin_of(server)) as admin,
        ):
            it = Shop(server, admin, self)
            it.seeker.stock(stock())
            try:
                yield it
            finally:
                it.seeker.close()

    def _config(self) -> Path:
        path = seekers.written(
            self.directory,
            ranker={**seekers.RANKER, "timeout_ms": 30},
            deadline_ms=200,
            index_ms=50,
            cache={"max_entries": 200},
        )
        config = yaml.safe_load(path.read_text())
        dependencies = ("search_index", "search_ranker")
        # What is kept of before is all there when the server is warm.
        config["search"]["index"] |= {"writer_bytes": 16_000_000, "page_snapshots": 20}
        config["admin"] = {"enabled": True, "port": 0}
        config["faults"] = {"enabled": True}
        config["resilience"] = {
            "dependencies": {
                each: {"breaker": {**BREAKER, "open_max_s": 1.0}} for each in dependencies
            },
            "model_breaker": {**BREAKER, "open_max_s": 1.0},
            "bulkheads": {"inferd.v1.SearchService": {"max_calls": MAX_CALLS}},
        }
        path.write_text(yaml.safe_dump(config))
        return path
