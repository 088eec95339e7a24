"""`inferd stream`: what becomes of events while processes are killed, stopped and cut off."""

import base64
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import redis

from support.redis import RedisServer
from support.server import INFERD, STOP_S
from support.stream_process import ROUTE, bodies, streaming, until, write_config
from support.streams import body

FILES = {name: {"kind": "jsonl", "path": f"{name}.jsonl"} for name in ("source", "sink", "letters")}


@pytest.fixture
def client(redis_server: RedisServer) -> Any:
    it = redis.Redis(unix_socket_path=str(redis_server.socket))
    yield it
    it.close()


def write(client: Any, written: Iterable[bytes]) -> None:
    pipe = client.pipeline(transaction=False)
    for each in written:
        pipe.xadd("events", {"body": each})
    pipe.execute()


def results(client: Any) -> list[dict[str, Any]]:
    return bodies(client.xrange("results"))


def letters(client: Any) -> list[dict[str, Any]]:
    return bodies(client.xrange("dead-letters"))


def unanswered(client: Any) -> list[dict[str, Any]]:
    """Return the letters of events that are wrong, not of those that were late."""
    return [each for each in letters(client) if not each["event_id"].startswith("ok")]


def in_order(found: Iterable[dict[str, Any]]) -> bool:
    by_user: dict[str, list[int]] = defaultdict(list)
    for each in found:
        by_user[each["user_id"]].append(int(each["event_id"].removeprefix("e")))
    return all(each == sorted(each) for each in by_user.values())


def test_ten_thousand_events_ten_thousand_results_and_each_users_in_order(
    redis_server: RedisServer, client: Any, tmp_path: Path
) -> None:
    write(client, (body(f"e{n}", f"u{n % 101}", amount=n) for n in range(10_000)))

    with streaming(write_config(tmp_path, redis_server.url)) as process:
        until(lambda: client.xlen("results") >= 10_000)
        until(lambda: client.xpending("events", "inferd")["pending"] == 0)
        assert process.metric("inferd_pipeline_latency_seconds_count") == 10_000
        assert process.metric("inferd_event_time_lag_seconds_count") == 10_000
        assert process.stop() == 0

    found = results(client)
    assert {each["event_id"] for each in found} == {f"e{n}" for n in range(10_000)}
    assert len(found) == 10_000
    assert in_order(found)
    assert client.xinfo_consumers("events", "inferd") == []
    told = ("event_id", "user_id", "prediction", "model", "latency_ms", "timestamp")
    assert all(found[-1][key] for key in told)


def test_one_of_two_is_killed_and_nothing_is_lost_and_nothing_is_published_twice(
    redis_server: RedisServer, client: Any, tmp_path: Path
) -> None:
    config = write_config(tmp_path, redis_server.url, source={"claim_idle_s": 0.5}, batch=32)
    written = [body(f"e{n}", f"u{n % 101}") for n in range(6_000)]

    with streaming(config) as doomed, streaming(config) as other:
        for begin in range(0, len(written), 250):
            write(client, written[begin : begin + 250])
            if begin == 2_000:
                doomed.signal(signal.SIGKILL)
        until(lambda: client.xlen("results") >= len(written))
        until(lambda: client.xpending("events", "inferd")["pending"] == 0)
        assert other.stop() == 0

    ids = [each["event_id"] for each in results(client)]
    assert len(ids) == len({*ids}) == len(written)


def test_a_redis_that_is_cut_off_and_comes_back_is_worked_with_again(
    redis_server: RedisServer, client: Any, tmp_path: Path
) -> None:
    config = write_config(tmp_path, redis_server.url, redis_timeout_ms=200)
    write(client, (body(f"e{n}", f"u{n}") for n in range(500)))

    with streaming(config) as process:
        until(lambda: client.xlen("results") > 0)
        with redis_server.paused():
            time.sleep(1.0)
        began = time.monotonic()
        write(client, (body(f"f{n}", f"u{n}") for n in range(500)))
        until(lambda: client.xlen("results") >= 1000)
        assert time.monotonic() - began < 10
        until(lambda: client.xpending("events", "inferd")["pending"] == 0)
        assert process.metric("inferd_stream_failures_total") > 0
        assert process.stop() == 0

    ids = [each["event_id"] for each in results(client)]
    assert len(ids) == len({*ids}) == 1000


def test_events_that_cannot_be_answered_are_kept_with_their_bytes_and_the_cause(
    redis_server: RedisServer, client: Any, tmp_path: Path
) -> None:
    bad = {
        "decode": [b"{", b"\xff\xfe", body("big", pad="x" * 5000)],
        "route": [body("unheard", type="unheard")],
        "features": [body("text", amount="much")],
        "predict": [body("absent", type="absent")],
    }
    routes = {"buy": ROUTE, "absent": {**ROUTE, "model": "absent"}}
    config = write_config(tmp_path, redis_server.url, routes=routes, max_event_bytes=2000)
    write(client, [each for group in bad.values() for each in (*group, body(f"ok{id(group)}"))])

    with streaming(config) as process:
        until(lambda: len(unanswered(client)) >= 6)
        assert process.stop() == 0

    found = unanswered(client)
    kept = defaultdict(list)
    for each in found:
        kept[each["stage"]].append(base64.b64decode(each["body"]))
    assert kept == bad
    assert all(each["cause"] and each["reason"] for each in found)


def test_a_slow_model_is_late_for_its_own_events_only(
    redis_server: RedisServer, client: Any, tmp_path: Path
) -> None:
    routes = {"buy": ROUTE, "slow": {**ROUTE, "model": "slow", "fallback": -1.0}}
    config = write_config(tmp_path, redis_server.url, routes=routes, predict_ms=20)
    types = ("buy", "slow")
    write(
        client, (body(f"{type}{n}", f"{type}{n}", type=type) for n in range(50) for type in types)
    )

    with streaming(config) as process:
        until(lambda: client.xlen("results") >= 100)
        assert process.stop() == 0

    found = {
        type: [each for each in results(client) if each["event_type"] == type] for type in types
    }
    assert {(each["status"], each["prediction"]) for each in found["slow"]} == {("timeout", -1.0)}
    # Not all, as the machine may have other things to do.
    assert sum(each["status"] == "ok" for each in found["buy"]) > 25
    assert {each["stage"] for each in letters(client)} == {"predict"}


def test_signals_pause_it_and_have_it_go_on(
    redis_server: RedisServer, client: Any, tmp_path: Path
) -> None:
    with streaming(write_config(tmp_path, redis_server.url)) as process:
        process.signal(signal.SIGUSR1)
        until(lambda: process.metric("inferd_stream_paused") == 1)
        time.sleep(0.3)  # one that waits for an event already may get it
        write(client, [body("e1")])
        time.sleep(0.3)
        assert client.xlen("results") == 0
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{process.http}/v2/health/ready", timeout=STOP_S)

        process.signal(signal.SIGUSR2)
        until(lambda: client.xlen("results") == 1)
        assert process.stop() == 0


def test_a_file_is_replayed_into_a_file_and_a_second_time_nothing_is_left_to_do(
    tmp_path: Path,
) -> None:
    (tmp_path / "events.jsonl").write_bytes(
        b"".join(body(f"e{n}", f"u{n % 7}", amount=n) + b"\n" for n in range(500)) + b"{\n"
    )
    files: dict[str, Any] = {  # relative to the configuration's own
        "source": {"kind": "jsonl", "path": "events.jsonl"},
        "sink": {"kind": "jsonl", "path": "results.jsonl"},
        "letters": {"kind": "jsonl", "path": "letters.jsonl"},
    }
    config = write_config(tmp_path, **files)

    for _ in range(2):
        with streaming(config) as process:
            assert process.process.wait(STOP_S) == 0

    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    found = [json.loads(each) for each in lines]
    assert len(found) == 500
    assert in_order(found)
    kept = map(json.loads, (tmp_path / "letters.jsonl").read_text().splitlines())
    (letter,) = (each for each in kept if each["stage"] == "decode")
    assert base64.b64decode(letter["body"]) == b"{"


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        ({"routes": {}}, "stream.routes"),
        ({}, "redis.url"),
        ({"routes": {"buy": {**ROUTE, "inputs": {"x": ["p:f"]}}}}, "stream.routes.buy.inputs.x.0"),
        ({"predict_ms": 60}, "stream.predict_ms"),
        (
            {"routes": {"buy": {**ROUTE, "prediction": "scor"}}, **FILES},
            "stream.routes.buy: unexpected inference output 'scor'",
        ),
    ],
)
def test_what_must_be_fixed_first_is_named(tmp_path: Path, stream: Any, says: str) -> None:
    config = write_config(tmp_path, **stream)

    ended = subprocess.run(
        [*INFERD, "stream", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )

    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
