"""The light generator against a server that follows a script.

It is a program, so what it does shows only on a socket. Nothing here depends on how fast the
machine is: a server that is to be late waits for much longer than the deadline.
"""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from inferd_perf import openload, planned
from inferd_perf.openload import (
    Churn,
    Closed,
    GeneratorFailed,
    Load,
    NotBuilt,
    Open,
    Pattern,
    Report,
    Scheduled,
)
from inferd_perf.payload import framed
from inferd_perf.planned import Ended, Planned
from inferd_perf.servers import free_port
from unit.perf.scripted_server import (
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    MAX_CONCURRENT_STREAMS,
    OK_TRAILERS,
    PADDED,
    PING,
    RST_STREAM,
    STATUS_200,
    Request,
    answer,
    frame,
    grpc_status,
    scripted,
)

MESSAGE = b"a request"
LONG_S = 30.0


@pytest.fixture(autouse=True, scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        try:
            openload.build()
        except NotBuilt as error:
            pytest.skip(str(error))
        yield


def load(
    pattern: Pattern,
    *,
    duration_s: float = LONG_S,
    deadline_s: float = LONG_S,
    grace_s: float = 0.0,
    connections: int = 1,
    idle_connections: int = 0,
    metadata: Mapping[str, str] | None = None,
    warmup_s: float = 0.0,
) -> Load:
    return Load(
        pattern=pattern,
        duration_s=duration_s,
        deadline_s=deadline_s,
        grace_s=grace_s,
        connections=connections,
        idle_connections=idle_connections,
        metadata=metadata or {},
        warmup_s=warmup_s,
    )


def says(frames: Callable[[int], bytes]) -> Callable[[Request], Awaitable[None]]:
    """Return a script that answers every request with these frames."""

    async def script(request: Request) -> None:
        request.connection.send(frames(request.stream))

    return script


def fire_at(script: Callable[[Request], Awaitable[None]], what: Load) -> Report:
    with scripted(script) as server:
        return openload.fire(what, server.port, MESSAGE)


def counts(report: Report) -> dict[str, int]:
    return {name: answers.count for name, answers in report.answers.items()}


def test_a_closed_loop_makes_exactly_the_calls_that_it_was_told_to() -> None:
    with scripted(says(answer)) as server:
        report = openload.fire(load(Closed(4, count=100)), server.port, MESSAGE)

    assert counts(report) == {"OK": 100}
    assert (report.calls, report.in_time, report.late_ok) == (100, 100, None)
    assert {request.body for request in server.requests} == {framed(MESSAGE)}
    assert report.connections == {"opened": 1, "failed": 0, "lost": 0, "goaways": 0, "idle_open": 0}


def test_every_call_says_what_it_was_told_to() -> None:
    said = {"x-criticality": "SHEDDABLE", "client-id": "a: b" * 50}

    with scripted(says(answer)) as server:
        openload.fire(load(Closed(1, count=3), metadata=said), server.port, MESSAGE)

    assert len(server.requests) == 3
    for request in server.requests:
        assert b"\0\x0dx-criticality\x09SHEDDABLE" in request.headers
        # 200 takes two bytes: 127, and the rest.
        assert b"\0\x09client-id\x7f\x49" + b"a: b" * 50 in request.headers


def test_a_closed_loop_never_has_more_calls_in_flight_than_callers() -> None:
    in_flight, seen = 0, []

    async def script(request: Request) -> None:
        nonlocal in_flight
        in_flight += 1
        seen.append(in_flight)
        await asyncio.sleep(0.001)
        in_flight -= 1
        request.connection.send(answer(request.stream))

    report = fire_at(script, load(Closed(5, count=200), connections=2))

    assert counts(report) == {"OK": 200}
    assert max(seen) == 5


def test_a_run_without_a_measured_call_is_invalid() -> None:
    async def silent(_request: Request) -> None:
        return

    report = fire_at(silent, load(Closed(1), duration_s=0.05, deadline_s=0.2))

    assert report.faults == ("no call was measured",)


def test_an_open_loop_offers_its_schedule_whether_it_is_answered_or_not() -> None:
    async def silent(_request: Request) -> None:
        return

    what = load(Open(400.0), duration_s=0.5, deadline_s=0.05)

    answered, ignored = fire_at(says(answer), what), fire_at(silent, what)

    assert answered.calls == ignored.calls
    assert 130 < answered.calls < 270
    assert counts(ignored) == {"client:timed_out": ignored.calls}
    assert answered.send_lag is not None
    assert answered.send_lag.count == answered.calls


MS = 1_000_000


class Timetable:
    """A schedule, sent to a scripted server; the warm-up ends at 10 ms."""

    def __init__(self, directory: Path, *rows: Planned) -> None:
        self._pattern = Scheduled(directory / "rows", directory / "ends")
        planned.write(self._pattern.rows, rows)

    def fire(self, port: int, *messages: bytes) -> tuple[Report, list[Ended]]:
        what = Load(
            pattern=self._pattern,
            warmup_s=0.01,
            duration_s=LONG_S,
            deadline_s=LONG_S,
            connections=1,
        )
        return openload.fire(what, port, *messages), planned.read_ends(self._pattern.ends)


def test_a_schedule_names_the_deadline_and_the_request_of_every_call(tmp_path: Path) -> None:
    rows = Timetable(
        tmp_path,
        Planned(0, 10_000 * MS),
        Planned(20 * MS, 2_020 * MS, body=1),
        Planned(20 * MS, 9_020 * MS),
    )

    with scripted(says(answer)) as server:
        report, ends = rows.fire(server.port, b"one", b"another")

    seconds = [round(request.timeout_us / 1e6) for request in server.requests]
    assert [request.body for request in server.requests] == [
        framed(text) for text in (b"one", b"another", b"one")
    ]
    assert seconds == [10, 2, 9]
    assert counts(report) == {"OK": 2}
    assert [(each.row, each.status) for each in ends] == [(1, "OK"), (2, "OK")]


def fired_from_a_file(
    directory: Path, bodies: bytes, *rows: Planned, port: int = 1, body: bytes = b""
) -> tuple[int, str]:
    """Send requests that are in one file, behind one that has its own; return as `ran`."""
    pattern = Scheduled(directory / "rows", directory / "ends")
    planned.write(pattern.rows, rows)
    (directory / "bodies").write_bytes(bodies)
    (directory / "body").write_bytes(framed(body))
    first = [directory / "body"] if body else []
    told = openload.words(load(pattern, warmup_s=0.01), port, *first)
    return ran(*told, "--bodies", str(directory / "bodies"))


def ran(*told: str) -> tuple[int, str]:
    """Return how the generator ended, and what it complained of."""
    command = [str(openload.build()), *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("body", [b"", b"first"])
def test_many_requests_come_from_one_file_and_are_numbered_behind_the_others(
    body: bytes, tmp_path: Path
) -> None:
    own = [body] if body else []
    messages = [b"", b"x" * 1_000, b"last"]
    rows = [Planned(20 * MS, 9_000 * MS, body=at) for at in range(len(own) + len(messages))]
    bodies = b"".join(map(framed, messages))

    with scripted(says(answer)) as server:
        code, said = fired_from_a_file(tmp_path, bodies, *rows, port=server.port, body=body)

    assert (code, said) == (0, "")
    assert sorted(each.body for each in server.requests) == sorted(map(framed, own + messages))


@pytest.mark.parametrize("missing", [1, 4, 7])
def test_a_file_of_requests_that_ends_within_one_is_refused(missing: int, tmp_path: Path) -> None:
    bodies = (framed(b"one") + framed(b"two"))[:-missing]

    code, said = fired_from_a_file(tmp_path, bodies, Planned(20 * MS, 9_000 * MS))

    assert code == 1
    assert "it ends within a request" in said


def test_many_requests_need_a_schedule(tmp_path: Path) -> None:
    told = openload.words(load(Closed(1)), 1)

    code, said = ran(*told, "--bodies", str(tmp_path))

    assert code == 2
    assert said.startswith("openload: --bodies needs a --schedule")


def test_of_calls_in_a_schedule_the_earliest_deadline_is_given_up_first(tmp_path: Path) -> None:
    async def silent(_request: Request) -> None:
        return

    # One stream: the others wait, and expire from the middle and the end of those who wait.
    deadlines = [90, 60, 30, 75, 45]
    rows = Timetable(tmp_path, *(Planned(20 * MS, (20 + each) * MS) for each in deadlines))
    with scripted(silent, {MAX_CONCURRENT_STREAMS: 1}) as server:
        report, ends = rows.fire(server.port, MESSAGE)

    assert [each.status for each in ends] == ["client:timed_out"] + 4 * ["client:not_sent"]
    assert sorted(range(5), key=lambda row: ends[row].took_ns) == [2, 4, 1, 3, 0]
    assert all(each.took_ns >= deadlines[each.row] * MS for each in ends)
    assert report.in_time == 0


@pytest.mark.parametrize(
    "row", ["1 0 0", "5 9 1", "5 9", "5 9 -1", "x"], ids=lambda row: row.replace(" ", "_")
)
def test_a_schedule_that_makes_no_sense_is_refused(row: str, tmp_path: Path) -> None:
    rows = Timetable(tmp_path)
    (tmp_path / "rows").write_text(f"2 9 0\n{row}\n")

    with pytest.raises(GeneratorFailed, match="row 1 makes no sense"):
        rows.fire(1, MESSAGE)


def test_the_deadline_travels_with_the_call() -> None:
    with scripted(says(answer)) as server:
        openload.fire(load(Closed(1, count=5), deadline_s=2.0), server.port, MESSAGE)

    assert all(1_000_000 < request.timeout_us <= 2_000_000 for request in server.requests)


def test_a_call_that_is_not_answered_in_time_is_reset() -> None:
    async def silent(_request: Request) -> None:
        return

    with scripted(silent) as server:
        report = openload.fire(
            load(Open(200.0), duration_s=0.2, deadline_s=0.02), server.port, MESSAGE
        )
        server.wait_until_all_have_gone()

    assert server.resets == report.calls > 0


async def _late(request: Request) -> None:
    await asyncio.sleep(0.3)
    request.connection.send(answer(request.stream))


def test_an_answer_after_the_deadline_is_seen_within_the_grace_and_not_counted_as_in_time() -> None:
    report = fire_at(_late, load(Open(50.0), duration_s=0.2, deadline_s=0.05, grace_s=LONG_S))

    assert counts(report) == {"OK": report.calls}
    assert report.in_time == 0
    assert report.late_ok is not None
    assert report.late_ok.count == report.calls
    assert report.late_ok.p50_ms >= 240


@pytest.mark.parametrize(
    ("frames", "name"),
    [
        (lambda s: frame(HEADERS, 5, s, STATUS_200 + grpc_status(14)), "UNAVAILABLE"),
        (lambda s: answer(s, code=13), "INTERNAL"),
        (lambda s: answer(s, code=99), "UNKNOWN"),
        (lambda s: frame(HEADERS, 5, s, STATUS_200 + grpc_status(0)), "client:ok_without_message"),
        (lambda s: frame(HEADERS, 5, s, b"\x8d"), "client:no_grpc_status"),
        (lambda s: frame(RST_STREAM, 0, s, b"\0\0\0\7"), "client:reset_by_server"),
    ],
)
def test_every_end_of_a_call_has_its_name(frames: Callable[[int], bytes], name: str) -> None:
    report = fire_at(says(frames), load(Closed(1, count=3)))

    assert counts(report) == {name: 3}
    assert report.in_time == 0


def test_refusals_and_answers_have_latencies_of_their_own() -> None:
    async def script(request: Request) -> None:
        if request.stream % 4 == 1:
            request.connection.send(frame(HEADERS, 5, request.stream, grpc_status(14)))
        else:
            await _late(request)

    report = fire_at(script, load(Closed(2, count=4)))

    assert counts(report) == {"UNAVAILABLE": 2, "OK": 2}
    assert report.answers["OK"].p50_ms >= 290


@pytest.mark.parametrize(
    "trailers",
    [
        # RFC 7541 Huffman codes of the name, of `0` and of `14`.
        b"\0\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x0214",
        b"\0\x0bgrpc-status\x82\x0b\x5f",
        b"\x40\x0bgrpc-status\x0214",
        b"\x20\x0f\x11\x03x/y" + grpc_status(14),
        b"\0\x01a" + b"\x7f\x81\x01" + b"b" * 256 + grpc_status(14),
    ],
    ids=["huffman name", "huffman value", "to be indexed", "other headers", "a long value"],
)
def test_a_status_is_read_however_it_is_coded(trailers: bytes) -> None:
    report = fire_at(
        says(lambda s: frame(HEADERS, 5, s, STATUS_200 + trailers)), load(Closed(1, count=1))
    )

    assert counts(report) == {"UNAVAILABLE": 1}


def test_frames_may_be_padded_and_prioritised_and_split_anywhere() -> None:
    async def script(request: Request) -> None:
        frames = (
            frame(HEADERS, END_HEADERS | 32, request.stream, b"\0\0\0\0\x10" + STATUS_200)
            + frame(DATA, PADDED, request.stream, b"\2\0\0\0\0\1x\0\0")
            + frame(HEADERS, 5 | PADDED, request.stream, b"\3" + OK_TRAILERS + b"\0\0\0")
        )
        for byte in frames:
            request.connection.send(bytes([byte]))
            await asyncio.sleep(0)

    report = fire_at(script, load(Closed(1, count=3)))

    assert counts(report) == {"OK": 3}


def test_a_request_larger_than_a_frame_arrives_whole() -> None:
    message = bytes(range(256)) * 150

    with scripted(says(answer)) as server:
        openload.fire(load(Closed(1, count=1)), server.port, message)

    assert server.requests[0].body == framed(message)


def test_pings_are_answered() -> None:
    async def script(request: Request) -> None:
        request.connection.send(frame(PING, 0, 0, b"whoareyo"))
        await server.ponged.wait()
        request.connection.send(answer(request.stream))

    with scripted(script) as server:
        openload.fire(load(Closed(1, count=1)), server.port, MESSAGE)

    assert server.pongs == [b"whoareyo"]


def test_a_call_without_a_free_stream_waits_and_is_not_the_generators_lag() -> None:
    async def silent(_request: Request) -> None:
        return

    with scripted(silent, {MAX_CONCURRENT_STREAMS: 1}) as server:
        report = openload.fire(
            load(Open(200.0), duration_s=0.1, deadline_s=0.5), server.port, MESSAGE
        )

    assert counts(report)["client:not_sent"] > 0
    assert counts(report)["client:timed_out"] >= 1
    assert sum(counts(report).values()) == report.calls
    assert report.send_lag is not None
    assert report.send_lag.count == report.calls


def test_a_lost_connection_ends_its_calls_and_comes_back() -> None:
    async def script(request: Request) -> None:
        if server.connections == 1 and request.stream == 3:
            request.connection.reset()
        elif server.connections == 2:
            request.connection.send(answer(request.stream))

    with scripted(script) as server:
        report = openload.fire(load(Closed(2, count=6)), server.port, MESSAGE)

    assert counts(report) == {"client:connection_broken": 2, "OK": 4}
    assert report.connections["lost"] == 1
    assert server.connections == 2


def test_after_goaway_what_was_seen_is_awaited_and_nothing_more_is_sent() -> None:
    async def script(request: Request) -> None:
        first = 1
        if request.stream == first:
            return
        request.connection.send(frame(GOAWAY, 0, 0, first.to_bytes(4, "big") + bytes(4)))
        await asyncio.sleep(0.01)
        request.connection.send(answer(first))

    with scripted(script) as server:
        report = openload.fire(load(Closed(2, count=2), duration_s=5.0), server.port, MESSAGE)

    assert counts(report) == {"client:reset_by_server": 1, "OK": 1}
    assert report.connections["goaways"] == 1


def test_idle_connections_stay_open_beside_the_busy_ones() -> None:
    most = 0

    async def script(request: Request) -> None:
        nonlocal most
        most = max(most, server.open_connections)
        request.connection.send(answer(request.stream))

    with scripted(script) as server:
        report = openload.fire(
            load(Closed(2, count=20), connections=2, idle_connections=50), server.port, MESSAGE
        )

    assert report.connections["idle_open"] == 50
    assert most == 52


def test_a_churn_ends_after_its_sessions_and_leaves_nothing_open() -> None:
    async def script(request: Request) -> None:
        await asyncio.sleep(0.002)
        request.connection.send(answer(request.stream))

    with scripted(script) as server:
        report = openload.fire(load(Churn(1000.0, count=200), connections=20), server.port, MESSAGE)
        server.wait_until_all_have_gone()

    assert sum(report.sessions.values()) == 200 == server.connections
    assert all(report.sessions.values())
    assert set(report.answers) == {"OK", "client:abandoned"}
    assert server.resets > 0
    assert len(server.requests) < server.begun


def test_a_server_that_is_not_there_is_said_to_be_missing() -> None:
    port = free_port()

    with pytest.raises(GeneratorFailed, match=f"127.0.0.1:{port} took 0 of 1 connections"):
        openload.fire(load(Closed(1)), port, MESSAGE)


def test_a_request_that_the_server_has_no_room_for_is_refused(tmp_path: Path) -> None:
    initial_window_size = 4

    with (
        scripted(says(answer), {initial_window_size: 4}) as server,
        pytest.raises(GeneratorFailed, match="larger than the server's stream window"),
    ):
        openload.fire(load(Closed(1)), server.port, MESSAGE)
