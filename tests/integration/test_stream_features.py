"""`inferd stream` with features: an event is recorded, and then its user's features are read."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from inferd.app.stream_features import StreamFeatures, problems
from inferd.call import Call
from inferd.config.stream import Route
from inferd.deadline import Deadline
from inferd.features.definitions import Definitions
from inferd.features.values import Lookup
from inferd.streaming.events import Event
from support.server import STOP_S
from support.stream_process import ROUTE, streaming, write_config

FEATURES = [{"name": "age", "type": "int64"}, {"name": "country", "type": "string"}]
DECLARED = {
    "entities": [{"name": "user", "id": "string"}],
    "events": [
        {"name": "buy", "fields": [{"name": "user", "type": "string", "required": True}]},
    ],
    "views": [
        {
            "name": "spending",
            "entity": "user",
            "events": "buy",
            "features": [
                {
                    "name": "purchases_1h",
                    "type": "int64",
                    "default": 0,
                    "aggregate": {"function": "count", "window": "1h"},
                }
            ],
        }
    ],
}


def test_a_feature_that_is_no_number_or_not_there_is_told_before_there_are_events() -> None:
    views = [{"name": "profile", "entity": "user", "features": FEATURES}]
    declared = Definitions.read({"entities": DECLARED["entities"], "views": views})
    routes = {
        name: Route.model_validate({"model": "m", "inputs": {"x": ["profile:age", path]}})
        for name, path in [("a", "data.x"), ("b", "profile:country"), ("c", "profil:age")]
    }

    assert [*problems(declared, routes)] == [
        "stream.routes.b.inputs: profile:country is string, and no number",
        "stream.routes.c.inputs: there is no view 'profil'; did you mean profile?",
    ]


class Answering:
    """Features whose value is their entity's id, and none is anything else."""

    async def get(self, call: Any, deadline: Any, lookups: Sequence[Lookup]) -> list[Any]:
        del call, deadline
        return [
            SimpleNamespace(values=[SimpleNamespace(value=each.entity_id)] * len(each.places))
            for each in lookups
        ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_each_view_is_read_for_whom_it_would_be_recorded_in_whatever_order(
    order: Sequence[int],
) -> None:
    amount = {"name": "n", "type": "int64", "aggregate": {"function": "count", "window": "1h"}}
    ids = ({"name": name, "type": "string"} for name in ("payer", "payee"))
    views = [
        {"name": "paid", "entity": "user", "events": "pay", "by": "payer", "features": [amount]},
        {"name": "got", "entity": "user", "events": "pay", "by": "payee", "features": [amount]},
        {"name": "profile", "entity": "user", "features": [{"name": "age", "type": "int64"}]},
    ]
    events = [{"name": "pay", "fields": [*ids]}]
    declared = Definitions.read(
        {"entities": DECLARED["entities"], "events": events, "views": views}
    )
    parts: Any = Answering()
    event = Event("e", datetime.now(UTC), "pay", "me", {"payer": "ann", "payee": "bob"})
    named = [("paid:n", "ann"), ("got:n", "bob"), ("profile:age", "me")]

    told = await StreamFeatures(declared, parts, parts).vector(
        Call("/t", arrived=0.0), Deadline(1.0), event, [named[place][0] for place in order]
    )

    assert told == [named[place][1] for place in order]


def test_each_event_counts_itself_and_those_of_its_user_before(tmp_path: Path) -> None:
    (tmp_path / "definitions.yaml").write_text(yaml.safe_dump(DECLARED))
    lines = [
        json.dumps(
            {
                "id": f"e{n}",
                "timestamp": datetime.now(UTC).isoformat(),
                "user_id": f"u{n % 5}",
                "event_type": "buy",
            }
        )
        for n in range(200)
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    config = write_config(
        tmp_path,
        routes={"buy": {**ROUTE, "inputs": {"INPUT0": ["spending:purchases_1h"]}}},
        source={"kind": "jsonl", "path": "events.jsonl"},
        sink={"kind": "jsonl", "path": "results.jsonl"},
        letters={"kind": "jsonl", "path": "letters.jsonl"},
        # The machine may be busy, and this is not about time.
        features_ms=5_000,
    )
    told = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**told, "features": {"definitions": "definitions.yaml"}}))

    with streaming(config) as process:
        assert process.process.wait(STOP_S) == 0

    counts = defaultdict(list)
    for each in map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines()):
        assert each["degraded"] == []
        counts[each["user_id"]].append(each["prediction"] if each["status"] == "ok" else None)
    assert len(counts) == 5
    for each in counts.values():
        assert all(count in {n, None} for n, count in enumerate(each, start=1))
        assert any(each)
