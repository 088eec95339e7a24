"""No skew: for training, over the wire and in a stream, features have the same values.

tests/golden/skew has what happened to a few users and shops, and the vectors that were told of
them. After a change that is meant they are written anew, by `inferd vectors` as it is called here.
"""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inferd.app import feature_parts, main
from inferd.app.features import definitions
from inferd.app.stream_features import StreamFeatures
from inferd.call import Call
from inferd.config import Postgres
from inferd.config.faults import Faults
from inferd.config.features import Features as Settings
from inferd.config.resilience import Resilience
from inferd.deadline import NEVER
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.services.features.service import Features as Service
from inferd.streaming.events import Event, decoded
from inferd.v1 import features_pb2 as pb
from support.features import AMPLE_S, Features, features_of, held, names, now_us, value
from support.server import INFERD, STOP_S, serving
from support.skew import END_US, GOLDEN, NAMES, US, log, read, shifted
from support.stream_process import streaming, write_config

#: Their values are floats that depend, a little, on the order of sums; all others are exact.
ROUNDED = {"spending:variance_1h", "spending:median_1h", "spending:fading_1h"}
CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)


def golden() -> list[dict[str, Any]]:
    return read("vectors.jsonl")


def same(told: dict[str, Any], expected: dict[str, Any]) -> None:
    """Check that values are the same, all but a few to the last bit."""
    assert told.keys() == expected.keys()
    for name, it in expected.items():
        if name in ROUNDED and it is not None:
            assert told[name] == pytest.approx(it, rel=1e-9), name
        else:
            assert told[name] == it, name
            assert type(told[name]) is type(it), name


def test_the_log_is_what_it_was() -> None:
    assert [*log()] == read("log.jsonl")


def test_training_is_told_what_it_was_told(tmp_path: Path) -> None:
    out = tmp_path / "vectors.jsonl"

    code = main(
        [
            "vectors",
            *("--config", str(GOLDEN / "config.yaml")),
            *("--log", str(GOLDEN / "log.jsonl")),
            *("--features", ",".join(NAMES)),
            *("--out", str(out)),
        ]
    )

    assert code == 0
    told = [json.loads(line) for line in out.read_text().splitlines()]
    for vector, expected in zip(told, golden(), strict=True):
        same(vector.pop("values"), expected.pop("values"))
        assert vector == expected


def test_callers_are_told_the_same(tmp_path: Path) -> None:
    """They ask now, so what happened is moved near to now, and the last questions are asked."""
    by_us = now_us() - END_US
    environment = {"INFERD__FEATURES__DEFINITIONS": str(GOLDEN / "definitions.yaml")}
    with (
        serving(tmp_path, "--control-mode", "explicit", environment=environment) as server,
        features_of(server.address) as features,
    ):
        asked = 0
        vectors = iter(golden())
        for line in (shifted(each, by_us) for each in read("log.jsonl")):
            if "row" in line:
                assert features.set(_row(line["row"])) == ["STORED"]
            elif "event" in line:
                _record(features, line["event"])
            else:
                ask, expected = line["ask"], next(vectors)
                if expected["at_us"] == END_US:
                    asked += 1
                    request = _request(ask)
                    _check(
                        features.call("Get", request, pb.GetFeaturesResponse, AMPLE_S).message,
                        expected,
                    )
    assert asked == 17


async def test_streams_are_told_the_same_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so are callers. The clock is set by hand, so that each question is asked at its time."""
    time_us = 0

    def clock() -> float:
        return time_us / US

    monkeypatch.setattr(feature_parts, "WALL_CLOCK", clock)
    features = _features(clock)
    service, streamed = features.service.implementation, _streaming(features)
    assert isinstance(service, Service)
    vectors = iter(golden())
    async with features.closing:
        for line in read("log.jsonl"):
            ((what, it),) = line.items()
            time_us = max(time_us, it["at_us"] if what == "ask" else it["event_time_us"])
            if what == "row":
                await service.set(pb.SetFeaturesRequest(rows=[_row(it)]), CALL)
            elif what == "event":
                await streamed.record(CALL, NEVER, _event(it))
            else:
                expected = next(vectors)
                _check(await service.get(_request(it), CALL), expected)
                wanted = [*expected["values"]]
                told = await streamed.vector(CALL, NEVER, _question(it), wanted)
                same(dict(zip(wanted, map(_plain, told), strict=True)), expected["values"])
    assert next(vectors, None) is None


def test_a_model_in_a_stream_is_given_what_happened_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process as it is run: an event is recorded, and counts for its own prediction."""
    monkeypatch.setenv("INFERD__FEATURES__DEFINITIONS", str(GOLDEN / "definitions.yaml"))
    begin_us, numbers = now_us() - 60 * US, range(40)
    lines = [
        _written(f"e{number}", begin_us + number * US, "payment", number % 2 + 1, {"amount": 1})
        for number in numbers
    ]
    (tmp_path / "source").write_bytes(b"\n".join([*lines, b""]))

    with streaming(_routed(tmp_path, "spending:payments_1h")) as stream:
        assert stream.process.wait(STOP_S) == 0

    results = map(json.loads, (tmp_path / "sink").read_text().splitlines())
    assert {it["event_id"]: it["prediction"] for it in results} == {
        f"e{number}": number // 2 + 1.0 for number in numbers
    }
    assert (tmp_path / "letters").read_text() == ""


def test_a_route_with_a_feature_that_there_is_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERD__FEATURES__DEFINITIONS", str(GOLDEN / "definitions.yaml"))
    (tmp_path / "source").touch()
    config = _routed(tmp_path, "spending:payments_1d")

    ended = subprocess.run(
        [*INFERD, "stream", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )

    assert ended.returncode == 2
    assert "stream.routes.payment.inputs: view spending has no feature" in ended.stderr


def _routed(directory: Path, feature: str) -> Path:
    """Return a configuration in which payments are answered with a feature."""
    route = {"model": "identity_fp32", "inputs": {"INPUT0": [feature]}}
    ends: dict[str, Any] = {
        name: {"kind": "jsonl", "path": str(directory / name)}
        for name in ("source", "sink", "letters")
    }
    return write_config(directory, routes={"payment": route}, **ends)


def _features(clock: Callable[[], float]) -> feature_parts.Features:
    """Return a server's features by a clock of ours."""
    settings = Settings(definitions=GOLDEN / "definitions.yaml")
    declared = definitions(settings)
    assert declared is not None
    faults = FaultPoints(Faults(), clock)
    toolbox = Toolbox(Resilience(), faults, histogram=_Ignoring, clock=clock)
    assembly = feature_parts.FeatureAssembly(
        settings, declared, None, Postgres(), toolbox, clock=clock
    )
    return assembly.made(lambda: 0.0)


def _streaming(features: feature_parts.Features) -> StreamFeatures:
    return StreamFeatures(features.definitions, features.online, features.aggregator)


class _Ignoring:
    """Counts nothing."""

    def observe(self, value: float) -> None:
        del value


def _row(it: dict[str, Any]) -> pb.FeatureRow:
    values = {
        name: value(bytes([0, 1, 2]) if name == "token" and said else said)
        for name, said in it["values"].items()
    }
    return pb.FeatureRow(
        view=it["view"], id=str(it["id"]), event_time_us=it["event_time_us"], values=values
    )


def _record(features: Features, it: dict[str, Any]) -> None:
    event = pb.FeatureEvent(
        event=it["event"],
        event_id=it["event_id"],
        event_time_us=it["event_time_us"],
        fields={name: value(said) for name, said in it["fields"].items()},
    )
    request = pb.RecordEventsRequest(events=[event])
    features.call("Record", request, pb.RecordEventsResponse, AMPLE_S)


def _request(ask: dict[str, Any]) -> pb.GetFeaturesRequest:
    said = {name: value(it) for name, it in ask["request"].items()}
    return pb.GetFeaturesRequest(entity=ask["entity"], id=str(ask["id"]), request=said)


def _check(answer: pb.GetFeaturesResponse, expected: dict[str, Any]) -> None:
    same({it.name: _plain(held(it)) for it in answer.features}, expected["values"])
    statuses = {it.name: names(it.status, it.source)[0] for it in answer.features}
    assert statuses == {
        name: "NULL_VALUE" if status == "NULL" else status
        for name, status in expected["statuses"].items()
    }


def _event(it: dict[str, Any]) -> Event:
    """Return an event as a stream has it: its user is the event's, and no field."""
    data = {name: said for name, said in it["fields"].items() if name != "user"}
    return _streamed(it["event_id"], it["event_time_us"], it["event"], it["fields"]["user"], data)


def _question(it: dict[str, Any]) -> Event:
    data = it["request"] if it["entity"] == "user" else {"shop": it["id"]}
    user = it["id"] if it["entity"] == "user" else ""
    return _streamed("q", it["at_us"], "question", user, data)


def _streamed(id: str, at_us: int, type: str, user: object, data: dict[str, Any]) -> Event:
    return decoded(_written(id, at_us, type, user, data), max_bytes=10_000)


def _written(id: str, at_us: int, type: str, user: object, data: dict[str, Any]) -> bytes:
    at_s, us = divmod(at_us, US)
    at = datetime.fromtimestamp(at_s, UTC).replace(microsecond=us)
    written = {
        "id": id,
        "timestamp": at.isoformat(),
        "event_type": type,
        "user_id": str(user),
        "data": data,
    }
    return json.dumps(written).encode()


def _plain(it: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(it, bytes):
        return "AAEC" if it == bytes([0, 1, 2]) else it
    return [*it] if isinstance(it, tuple) else it
