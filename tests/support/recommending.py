"""A small service that recommends: its features, models and items, and whoever asks it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

from inferd.services.recommendation.content import INTERESTS, user_width
from inferd.v1 import recommendation_pb2 as pb
from inferd_client import Client, Unavailable
from support.features import AMPLE_S, ONCE, UNHEDGED, now_us
from support.fraud_models import IR_VERSION, OPSET, write_model
from support.server import Server, eventually, serving
from support.transports import Transport

Act = Literal["IMPRESSION", "VIEW", "CLICK", "CART", "PURCHASE", "DISLIKE"]
METHODS = "/inferd.v1.RecommendationService"
DIMENSIONS = 4
CATEGORIES, BRANDS = ("shoes", "coats", "hats"), ("acme", "bolt", "core", "dune")
ITEMS = 60
TREES, NETWORK = "rec_trees", "rec_network"
RANKERS = (TREES, NETWORK)
INPUTS = ("pair.vector_dot", "item.ctr_7d", "log(item.price)")
KNOWN_AFTER = 2
"""Somebody is known of whom there are so many interactions."""

EVENTS = ("impression", "page_view", "click", "cart", "purchase", "dislike")
"""As `recommendation.interactions` has them unless it is configured."""

DEFINITIONS: Mapping[str, Any] = {
    "entities": [{"name": "user"}],
    "events": [
        {
            "name": name,
            "fields": [
                {"name": "user", "type": "string", "required": True},
                {"name": "item", "type": "string", "required": True},
            ],
        }
        for name in EVENTS
    ],
    "views": [
        {
            "name": "user_recent",
            "entity": "user",
            "events": [*EVENTS[1:]],
            "features": [
                {
                    "name": name,
                    "type": "string_list",
                    "default": [],
                    "aggregate": {"function": "newest", "of": of, "count": 100, "window": "90d"},
                }
                for name, of in (
                    ("items", "item"),
                    ("acts", "event.name"),
                    ("times", "event.time_us"),
                )
            ],
        },
        {
            "name": "user_shown",
            "entity": "user",
            "events": "impression",
            "features": [
                {
                    "name": "count_1d",
                    "type": "int64",
                    "default": 0,
                    "aggregate": {"function": "count", "window": "1d"},
                }
            ],
        },
    ],
}


EXPERIMENTS: Mapping[str, Any] = {
    "experiments": [
        {
            "name": "labels",
            "surface": "recommendation",
            "state": "running",
            "unit": "user_id",
            "arms": [{"name": "plain"}, {"name": "bold"}],
        },
        {
            "name": "variety",
            "surface": "recommendation",
            "state": "running",
            "unit": "user_id",
            "when": 'page == "cart"',
            "arms": [{"name": "same"}, {"name": "varied", "parameters": {"diversity": 0.9}}],
        },
    ]
}


def write_models(repository: Path) -> None:
    """Write two rankers, and a tower that puts users where the newest is that they looked at."""
    write_model(repository, TREES, (3.0, 5.0, 0.0), -1.0)
    write_model(repository, NETWORK, (2.0, 0.0, -0.1), 0.0)
    width = user_width(DIMENSIONS)
    newest = np.zeros((width, DIMENSIONS), np.float32)
    newest[len(INTERESTS) * DIMENSIONS :][:DIMENSIONS] = np.eye(DIMENSIONS)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["history", "newest"], ["vector"])],
        "rec_users",
        [helper.make_tensor_value_info("history", TensorProto.FLOAT, ("n", width))],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ("n", DIMENSIONS))],
        [numpy_helper.from_array(newest, "newest")],
    )
    opset = [helper.make_opsetid("", OPSET)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    directory = repository / "rec_users" / "1"
    directory.mkdir(parents=True)
    (directory / "model.onnx").write_bytes(made.SerializeToString())


def settings(**more: Any) -> dict[str, Any]:
    """Return what the configuration says of recommendations; no test is about haste."""
    rankers = [{"name": name, "model": name, "inputs": [*INPUTS]} for name in RANKERS]
    return {
        "enabled": True,
        "deadline_ms": 20_000,
        "catalogue": {"path": "catalogue", "dimensions": DIMENSIONS},
        "behaviour": {"path": "behaviour"},
        "profile": {"timeout_ms": 5_000},
        "user_vectors": {"model": "rec_users", "timeout_ms": 5_000},
        "rankers": [{**each, "timeout_ms": 5_000} for each in rankers],
        "ranking": {"max_per_brand": None},
        "cold_start": {"known_after": KNOWN_AFTER, "explore_share": 0},
        **more,
    }


def written(directory: Path, *, config: Mapping[str, Any] | None = None, **more: Any) -> Path:
    """Write a configuration and all that it names, and return where it is.

    `config` is what it says besides, `more` what it says of recommendations.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "definitions.yaml").write_text(yaml.safe_dump(DEFINITIONS, sort_keys=False))
    whole = {
        "features": {"definitions": "definitions.yaml"},
        "recommendation": settings(**more),
        **(config or {}),
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return path


def an_item(number: int, **said: Any) -> pb.Item:
    """Return an item, of the category, brand and place that are its number's."""
    vector = np.random.default_rng(number).normal(size=DIMENSIONS)
    vector[number % len(CATEGORIES)] += 3
    default = {
        "id": f"i{number:03d}",
        "title": f"thing {number}",
        "category": CATEGORIES[number % len(CATEGORIES)],
        "brand": BRANDS[number % len(BRANDS)],
        "price_minor": 1000 + 10 * number,
        "currency": "EUR",
        "vector": vector.tolist(),
    }
    return pb.Item(**{**default, **said})


def items(count: int = ITEMS) -> list[pb.Item]:
    """Return so many items."""
    return [an_item(number) for number in range(count)]


def did(user: str, item: str, kind: Act = "CLICK", **said: Any) -> pb.Interaction:
    """Return what a user did just now."""
    default = {"time_us": now_us()}
    return pb.Interaction(user_id=user, item_id=item, type=kind, **{**default, **said})


class Shop:
    """Asks a `RecommendationService`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = Client(address, retry=ONCE, hedge=UNHEDGED)

    def close(self) -> None:
        self._client.close()

    def call(self, rpc: str, request: Any, response: Any, *, timeout_s: float = AMPLE_S) -> Any:
        answer = self._client.call(f"{METHODS}/{rpc}", request, response, timeout_s=timeout_s)
        return answer.message

    def recommend(self, user: str, **said: Any) -> pb.Recommendations:
        request = pb.GetRecommendationsRequest(user_id=user, **said)
        answer: pb.Recommendations = self.call("GetRecommendations", request, pb.Recommendations)
        return answer

    def similar(self, item: str, **said: Any) -> pb.Recommendations:
        request = pb.SimilarItemsRequest(item_id=item, **said)
        answer: pb.Recommendations = self.call("SimilarItems", request, pb.Recommendations)
        return answer

    def trending(self, **said: Any) -> pb.Recommendations:
        request = pb.GetTrendingRequest(**said)
        answer: pb.Recommendations = self.call("GetTrending", request, pb.Recommendations)
        return answer

    def explain(self, user: str, *ids: str, **said: Any) -> pb.ExplainRecommendationResponse:
        request = pb.ExplainRecommendationRequest(
            request=pb.GetRecommendationsRequest(user_id=user, **said), item_ids=ids
        )
        answer: pb.ExplainRecommendationResponse = self.call(
            "ExplainRecommendation", request, pb.ExplainRecommendationResponse
        )
        return answer

    def upsert(self, given: Iterable[pb.Item]) -> list[str]:
        """Add or replace items, and return what became of each."""
        request = pb.UpsertItemsRequest(items=given)
        results = self.call("UpsertItems", request, pb.UpsertItemsResponse).results
        return [pb.UpsertItemsResponse.Status.Name(each.status) for each in results]

    def delete(self, *ids: str) -> Sequence[bool]:
        request = pb.DeleteItemsRequest(item_ids=ids)
        deleted: Sequence[bool] = self.call("DeleteItems", request, pb.DeleteItemsResponse).deleted
        return deleted

    def get(self, *ids: str) -> pb.GetItemsResponse:
        request = pb.GetItemsRequest(item_ids=ids)
        answer: pb.GetItemsResponse = self.call("GetItems", request, pb.GetItemsResponse)
        return answer

    def record(self, *interactions: pb.Interaction) -> list[str]:
        """Record what users did, and return what became of each."""
        request = pb.RecordInteractionsRequest(interactions=interactions)
        results = self.call("RecordInteractions", request, pb.RecordInteractionsResponse).results
        return [pb.RecordInteractionsResponse.Status.Name(each.status) for each in results]


def ids(answer: pb.Recommendations) -> list[str]:
    """Return the items of a list."""
    return [each.item_id for each in answer.items]


def made(answer: pb.Recommendations) -> str:
    """Return what a list was made of."""
    return pb.Recommendations.Source.Name(answer.source)


def without(answer: pb.Recommendations) -> set[tuple[str, str]]:
    """Return what a list was made without: stages, and what took their place."""
    return {(each.stage, each.source) for each in answer.degradations}


def a_server(
    stack: ExitStack,
    directory: Path,
    models: Path,
    *,
    transport: Transport = "grpcio",
    exit_code: int = 0,
    **said: Any,
) -> tuple[Server, Shop]:
    """Start a server with experiments, and return when its catalogue has been loaded."""
    tested: dict[str, Any] = {
        "definitions": "experiments.yaml",
        "allow_forced": True,
        "stops": "stops.json",
    }
    tested |= {name: {"path": name} for name in ("exposures", "outcomes")}
    path = written(directory, config={"experiments": tested, **said.pop("config", {})}, **said)
    (directory / "experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS))
    server = stack.enter_context(
        serving(
            directory,
            *("--config", str(path)),
            repository=models,
            transport=transport,
            exit_code=exit_code,
        )
    )
    shop = Shop(server.address)
    stack.callback(shop.close)
    eventually(lambda: opened(shop))
    return server, shop


def opened(shop: Shop) -> bool:
    """Return whether the catalogue has been loaded."""
    try:
        shop.get("anything")
    except Unavailable:
        return False
    return True


def of(field: str, *texts: str, **said: Any) -> pb.ItemFilter:
    """Return a filter: a field is one of these texts."""
    values = [pb.FilterValue(text=text) for text in texts]
    return pb.ItemFilter(field=field, any_of=pb.FilterValues(values=values), **said)


def met(shop: Shop, user: str, *numbers: int) -> None:
    """Have a user look at a few items, and click them."""
    both: Sequence[Act] = ("VIEW", "CLICK")
    acts = [did(user, f"i{number:03d}", kind) for number in numbers for kind in both]
    assert {*shop.record(*acts)} == {"ADDED"}
