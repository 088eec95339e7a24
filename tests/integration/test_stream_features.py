"""`inferd stream` with features: an event is recorded, and then its user's features are read."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferd.app.stream_features import StreamFeatures
from inferd.errors import InvalidRequest
from inferd.features.definitions import Definitions
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


def test_a_feature_that_is_no_number_is_told_before_there_are_events() -> None:
    parts: Any = None
    views = [{"name": "profile", "entity": "user", "features": FEATURES}]
    declared = Definitions.read({"entities": DECLARED["entities"], "views": views})
    features = StreamFeatures(declared, parts, parts)

    features.check(["profile:age"])
    with pytest.raises(InvalidRequest, match="profile:country is string, and no number"):
        features.check(["profile:age", "profile:country"])


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
