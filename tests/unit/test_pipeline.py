"""What every call gets from the pipeline, whoever carries it: a status, a count, a record."""

import asyncio
import logging
import math
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from inferd import errors
from inferd.call import EXPLAIN, Call, Value
from inferd.config import Log
from inferd.deadline import NEVER, Deadline
from inferd.services.pipeline import Answer, Pipeline, Requests
from inferd.services.routes import bind
from inferd.services.status import DETAILS, PUSHBACK, REASON, Code, Refusal
from inferd.telemetry.rpc import LINES_PER_S, Allowance, RpcStatistics
from support.echo import SERVICE, Act, Echo, Note, a_note, text_of


class FakeSpan:
    def __init__(self) -> None:
        self.finished: list[tuple[str, str]] = []

    def finish(self, code: str, reason: str = "") -> None:
        self.finished.append((code, reason))


class FakeTracer:
    def __init__(self) -> None:
        self.spans: list[FakeSpan] = []

    def start(self, call: Call, method: str) -> FakeSpan | None:
        if method.endswith("/Expand"):
            return None
        self.spans.append(FakeSpan())
        return self.spans[-1]


class Bench:
    """The echo service behind a pipeline, in virtual time."""

    def __init__(
        self,
        act: Act | None = None,
        *,
        log: Log | None = None,
        unconditional: tuple[str, ...] | None = (),
        tracer: FakeTracer | None = None,
        shed_lag_s: float = 0.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        #: Seconds for which something has held the loop.
        self.held_s = 0.0
        self.echo = Echo(act)
        self.statistics = RpcStatistics([0.1, 1.0])
        self.pipeline = Pipeline(
            self.statistics, log or Log(), tracer=tracer, clock=self.now, shed_lag_s=shed_lag_s
        )
        self._bound = {
            route.path.rpartition("/")[2]: self.pipeline.bind(route)
            for route in bind(SERVICE, self.echo, unconditional=unconditional)
        }

    def now(self) -> float:
        return self._loop.time() + self.held_s

    def a_call(self, name: str, *, budget_s: float = math.inf, **metadata: Value) -> Call:
        now = self.now()
        return Call(
            f"/inferd.test.Echo/{name}",
            arrived=now,
            deadline=NEVER if budget_s == math.inf else Deadline(now + budget_s),
            metadata={key.replace("_", "-"): value for key, value in metadata.items()},
            peer="ipv4:192.0.2.1:5000",
        )

    async def one(self, body: bytes = b"", *, call: Call | None = None) -> Answer:
        call = call or self.a_call("SayOnce")
        answer: Answer = await self._bound["SayOnce"](body, call)
        return answer

    async def refused(self, body: bytes = b"", *, call: Call | None = None) -> Refusal:
        answer = await self.one(body, call=call)
        assert isinstance(answer, Refusal)
        return answer

    async def collect(self, bodies: list[bytes]) -> Answer:
        answer: Answer = await self._bound["Collect"](stream_of(bodies), self.a_call("Collect"))
        return answer

    def many(self, name: str, body: Any, *, call: Call | None = None) -> AsyncIterator[Answer]:
        answers: AsyncIterator[Answer] = self._bound[name](body, call or self.a_call(name))
        return answers

    def counted(self, name: str = "SayOnce") -> dict[str, int]:
        statistics = self.statistics.methods[f"/inferd.test.Echo/{name}"]
        assert statistics.in_flight == 0
        return {code: seen.count for code, seen in statistics.by_code.items() if seen.count}


async def stream_of(bodies: list[bytes]) -> AsyncIterator[bytes]:
    for body in bodies:
        yield body


def raising(error: BaseException) -> Act:
    async def act(request: Any, call: Call) -> Any:
        raise error

    return act


def sleeping(seconds: float) -> Act:
    async def act(request: Any, call: Call) -> Any:
        await asyncio.sleep(seconds)
        return request

    return act


async def test_a_call_is_decoded_answered_and_encoded() -> None:
    bench = Bench()

    assert await bench.one(a_note("hello")) == a_note("hello")
    assert bench.counted() == {"OK": 1}


async def test_an_error_becomes_a_refusal() -> None:
    bench = Bench(raising(errors.Shed("9 calls wait", retry_after_s=0.02)))

    refused = await bench.refused()

    assert (refused.code, refused.message) == (Code.UNAVAILABLE, "9 calls wait")
    assert dict(refused.trailing)[PUSHBACK] == "20"
    assert bench.counted() == {"UNAVAILABLE": 1}


async def test_a_bug_is_logged_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(raising(KeyError("password=hunter2")))

    refused = await bench.refused()

    assert (refused.code, refused.message) == (Code.INTERNAL, "internal error")
    assert b"hunter2" not in dict(refused.trailing)[DETAILS]
    assert "hunter2" in caplog.text
    assert bench.counted() == {"INTERNAL": 1}


async def test_bytes_that_are_no_message_are_the_callers_fault() -> None:
    refused = await Bench().refused(b"\xff\xff")

    assert refused.code is Code.INVALID_ARGUMENT
    assert refused.message == "the request is not a valid inferd.test.Note message"


async def test_an_answer_after_the_deadline_is_not_an_answer() -> None:
    bench = Bench(sleeping(0.5))

    refused = await bench.refused(call=bench.a_call("SayOnce", budget_s=0.3))

    assert refused.code is Code.DEADLINE_EXCEEDED
    assert refused.message == "the answer was ready 200.0 ms too late"
    assert bench.counted() == {"DEADLINE_EXCEEDED": 1}


async def test_an_answer_at_the_deadline_is_in_time() -> None:
    bench = Bench(sleeping(0.3))

    assert isinstance(await bench.one(call=bench.a_call("SayOnce", budget_s=0.3)), bytes)


@pytest.mark.parametrize(
    ("left_after_s", "code"), [(0.1, "CANCELLED"), (0.298, "DEADLINE_EXCEEDED")]
)
async def test_a_caller_who_leaves_is_recorded(left_after_s: float, code: str) -> None:
    bench = Bench(sleeping(9))
    call = asyncio.create_task(
        bench.refused(call=bench.a_call("SayOnce", budget_s=0.3))  # the deadline is theirs, too
    )
    await asyncio.sleep(left_after_s)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert bench.counted() == {code: 1}


async def test_durations_are_from_arrival_by_outcome() -> None:
    bench = Bench(sleeping(0.5))

    await bench.one()
    await bench.one(b"\xff")

    by_code = bench.statistics.methods["/inferd.test.Echo/SayOnce"].by_code
    assert by_code["OK"].counts == [0, 1, 0]
    assert by_code["OK"].sum == pytest.approx(0.5)
    assert by_code["INVALID_ARGUMENT"].counts == [1, 0, 0]


async def test_where_time_went_is_told_to_who_asks() -> None:
    async def act(request: Any, call: Call) -> Any:
        call.stages += [("queue", 0.002), ("compute", 0.1), ("queue", 0.001)]
        await asyncio.sleep(0.25)
        return request

    bench = Bench(act)
    curious, indifferent = bench.a_call("SayOnce"), bench.a_call("SayOnce")
    curious.metadata = {EXPLAIN: "1"}

    await bench.one(call=curious)
    await bench.one(call=indifferent)

    assert dict(curious.trailing) == {
        "x-latency-queue-us": "3000",
        "x-latency-compute-us": "100000",
        "x-latency-total-us": "250000",
    }
    assert indifferent.trailing == []


async def test_what_was_to_be_said_is_said_with_a_refusal_too() -> None:
    async def act(request: Any, call: Call) -> Any:
        call.trailing.append(("x-batch", "7"))
        raise errors.Expired("no")

    bench = Bench(act)
    call = bench.a_call("SayOnce")
    call.metadata = {EXPLAIN: "1"}

    refused = await bench.refused(call=call)

    assert [key for key, _ in refused.trailing] == [
        "x-batch",
        "x-latency-total-us",
        DETAILS,
        REASON,
        PUSHBACK,
    ]


async def test_a_traced_call_is_finished_with_how_it_ended() -> None:
    tracer = FakeTracer()
    bench = Bench(tracer=tracer)
    call = bench.a_call("SayOnce")

    await bench.one(call=call)
    await bench.one(b"\xff")
    await anext(bench.many("Expand", a_note("not traced")))

    assert [span.finished for span in tracer.spans] == [
        [("OK", "")],
        [("INVALID_ARGUMENT", "INVALID_REQUEST")],
    ]
    assert call.span is tracer.spans[0]


async def test_requests_that_stream_in_are_decoded_one_by_one() -> None:
    bench = Bench()

    assert await bench.collect([a_note("a"), a_note("b")]) == a_note("a b")
    assert (await bench.collect([a_note("a"), b"\xff"]))[0] is Code.INVALID_ARGUMENT
    assert bench.counted("Collect") == {"OK": 1, "INVALID_ARGUMENT": 1}


async def test_answers_stream_out() -> None:
    bench = Bench()

    answers = [text_of(each) async for each in bench.many("Expand", a_note("a b")) if each]  # type: ignore[arg-type]

    assert answers == ["a", "b"]
    assert bench.counted("Expand") == {"OK": 1}


async def test_the_last_answer_of_a_stream_may_be_a_refusal() -> None:
    bench = Bench(raising(errors.ModelFailed("no")))

    answers = [each async for each in bench.many("Expand", a_note("a b"))]

    assert answers[0] == a_note("a")
    assert [type(each) for each in answers] == [bytes, Refusal]
    assert bench.counted("Expand") == {"INTERNAL": 1}


async def test_a_stream_ends_at_its_deadline() -> None:
    bench = Bench(sleeping(0.2))
    call = bench.a_call("Expand", budget_s=0.3)

    answers = [each async for each in bench.many("Expand", a_note("a b c d"), call=call)]

    assert answers[:2] == [a_note("a"), a_note("b")]
    assert isinstance(answers[2], Refusal)
    assert (answers[2].code, len(answers)) == (Code.DEADLINE_EXCEEDED, 3)


async def test_a_stream_that_nobody_reads_on_is_abandoned() -> None:
    bench = Bench()
    answers = bench.many("Expand", a_note("a b c"))

    await anext(answers)
    await answers.aclose()  # type: ignore[attr-defined]

    assert bench.echo.closed == 1
    assert bench.counted("Expand") == {"CANCELLED": 1}


async def test_a_conversation() -> None:
    bench, requests = Bench(), Requests()
    answers = bench.many("Converse", requests)

    heard = []
    for word in ("a", "b"):
        await requests.put(a_note(word))
        heard.append(await anext(answers))
    requests.end()

    assert heard == [a_note("a"), a_note("b")]
    assert [each async for each in answers] == []
    assert bench.counted("Converse") == {"OK": 1}


async def test_a_conversation_that_is_over_is_forgotten() -> None:
    bench, requests = Bench(), Requests()
    await requests.put(a_note("bye"))

    assert await listened(bench.many("Converse", requests)) == []
    assert requests.ended, "whoever puts is not kept waiting"

    memory = weakref.ref(requests)
    del requests
    assert memory() is None


async def test_a_caller_is_held_back_until_its_requests_are_taken() -> None:
    requests = Requests()
    await requests.put(b"taken next")
    second = asyncio.create_task(requests.put(b"one ahead"))
    await asyncio.sleep(1)

    assert not second.done()
    assert await anext(requests) == b"taken next"
    await second


async def test_a_caller_is_not_held_back_by_a_handler_that_has_gone() -> None:
    requests = Requests()
    await requests.put(b"never taken")
    second = asyncio.create_task(requests.put(b"never taken"))
    await asyncio.sleep(1)

    requests.end()

    await second


@pytest.mark.parametrize(
    ("budget_s", "pushback"), [(math.inf, "32"), (1.0, "32"), (0.05, "-1"), (0.01, "-1")]
)
async def test_when_the_loop_is_late_calls_that_can_be_spared_are_refused_unread(
    budget_s: float, pushback: str
) -> None:
    bench = Bench(shed_lag_s=0.005)
    await bench.one(call=bench.a_call("SayOnce", x_criticality="SHEDDABLE"))
    call = bench.a_call("SayOnce", x_criticality="sheddable_plus", budget_s=budget_s)

    bench.held_s = 0.03125
    refused = await bench.refused(b"\xff is no message", call=call)

    assert (refused.code, dict(refused.trailing)[REASON]) == (Code.UNAVAILABLE, "SHED")
    assert dict(refused.trailing)[PUSHBACK] == pushback, "after as long again, if that helps"
    assert bench.counted() == {"OK": 1, "UNAVAILABLE": 1}
    assert bench.statistics.methods["/inferd.test.Echo/SayOnce"].lag_shed == 1
    assert len(bench.echo.calls) == 1


@pytest.mark.parametrize("criticality", [None, "CRITICAL", "CRITICAL_PLUS", "nonsense"])
async def test_when_the_loop_is_late_other_calls_are_served(criticality: str | None) -> None:
    bench = Bench(shed_lag_s=0.005)
    await bench.one(call=bench.a_call("SayOnce", x_criticality="SHEDDABLE"))
    call = bench.a_call("SayOnce")
    call.metadata = {} if criticality is None else {"x-criticality": criticality}

    bench.held_s = 0.03125

    assert isinstance(await bench.one(call=call), bytes)


async def test_when_the_loop_is_late_streams_that_can_be_spared_do_not_begin() -> None:
    bench = Bench(shed_lag_s=0.005, unconditional=("Converse",))
    await bench.one(call=bench.a_call("SayOnce", x_criticality="SHEDDABLE"))
    calls = {name: bench.a_call(name, x_criticality="SHEDDABLE") for name in ("Expand", "Converse")}
    conversation = Requests()
    await conversation.put(a_note("hello"))

    bench.held_s = 0.03125
    [refused] = [each async for each in bench.many("Expand", a_note("x"), call=calls["Expand"])]

    assert isinstance(refused, Refusal)
    assert dict(refused.trailing)[REASON] == "SHED"
    answer = await anext(bench.many("Converse", conversation, call=calls["Converse"]))
    assert answer == a_note("hello"), "answered whatever happens"


async def test_a_draining_server_refuses_new_calls_but_not_all() -> None:
    bench = Bench(unconditional=("Expand",))
    bench.pipeline.drain()

    refused = await bench.refused(a_note("too late"))

    assert (refused.code, refused.message) == (Code.UNAVAILABLE, "the server is shutting down")
    assert PUSHBACK not in dict(refused.trailing)
    assert await anext(bench.many("Expand", a_note("still"))) == a_note("still")


async def test_a_drain_lets_calls_finish_and_knows_when_they_have() -> None:
    bench = Bench(sleeping(0.5))
    calls = [asyncio.create_task(bench.one(a_note(str(i)))) for i in range(3)]
    await asyncio.sleep(0.1)

    bench.pipeline.drain()
    assert bench.pipeline.in_flight == 3
    await bench.pipeline.idle()

    assert bench.now() == pytest.approx(0.5)
    assert await asyncio.gather(*calls) == [a_note(str(i)) for i in range(3)]


async def test_a_drain_ends_a_conversation_after_what_was_said() -> None:
    bench, requests = Bench(sleeping(0.5)), Requests()
    conversation = asyncio.create_task(listened(bench.many("Converse", requests)))
    await requests.put(a_note("being answered"))
    await asyncio.sleep(0.1)

    bench.pipeline.drain()
    answers = await conversation

    assert answers[0] == a_note("being answered")
    assert isinstance(answers[1], Refusal)
    assert answers[1].code is Code.UNAVAILABLE
    assert bench.now() == pytest.approx(0.5)


async def test_a_conversation_that_its_caller_ended_is_not_called_interrupted() -> None:
    bench, requests = Bench(sleeping(0.5)), Requests()
    conversation = asyncio.create_task(listened(bench.many("Converse", requests)))
    await requests.put(a_note("the last word"))
    requests.end()
    await asyncio.sleep(0.1)

    bench.pipeline.drain()

    assert await conversation == [a_note("the last word")]


async def listened(answers: AsyncIterator[Answer]) -> list[Answer]:
    return [each async for each in answers]


async def test_who_must_know_is_told_of_the_drain_once() -> None:
    bench, told = Bench(), []
    bench.pipeline.on_drain(lambda: told.append("drain"))

    bench.pipeline.drain()
    bench.pipeline.drain()

    assert told == ["drain"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[Any]]:
    caplog.set_level(logging.INFO, "inferd.access")
    return lambda: [record for record in caplog.records if record.name == "inferd.access"]


async def test_a_failed_call_leaves_a_line(lines: Callable[[], list[Any]]) -> None:
    async def act(request: Any, call: Call) -> Any:
        await asyncio.sleep(0.0125)
        raise errors.NotFound("no such thing")

    bench = Bench(act)

    await bench.one(a_note(name="digits"), call=bench.a_call("SayOnce", budget_s=0.1))

    (line,) = lines()
    assert line.getMessage() == "failed: no such thing"
    assert (line.method, line.code, line.reason, line.model, line.peer) == (
        "/inferd.test.Echo/SayOnce",
        "NOT_FOUND",
        "NOT_FOUND",
        "digits",
        "ipv4:192.0.2.1:5000",
    )
    assert (line.duration_ms, line.deadline_ms) == (12.5, 100.0)


@pytest.mark.parametrize(
    ("log", "took_s", "written"),
    [
        (Log(slow_ms=100), 0.05, []),
        (Log(slow_ms=100), 0.15, ["slow"]),
        (Log(slow_ms=0), 0.0, ["slow"]),
        (Log(slow_ms=100, access=False), 0.15, []),
    ],
)
async def test_a_slow_call_leaves_a_line(
    log: Log, took_s: float, written: list[str], lines: Callable[[], list[Any]]
) -> None:
    bench = Bench(sleeping(took_s), log=log)

    await bench.one()

    assert [line.getMessage() for line in lines()] == written


async def test_to_leave_a_stream_is_no_failure_but_to_leave_a_call_is(
    lines: Callable[[], list[Any]],
) -> None:
    bench = Bench(sleeping(9))
    stream = bench.many("Expand", a_note("a b"))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    call = asyncio.create_task(bench.one())
    await asyncio.sleep(1)
    call.cancel()
    await asyncio.wait([call])

    (line,) = lines()
    assert (line.getMessage(), line.code) == ("abandoned", "CANCELLED")
    assert line.method.endswith("/SayOnce")


async def test_a_long_stream_is_not_a_slow_call(lines: Callable[[], list[Any]]) -> None:
    bench = Bench(sleeping(5), log=Log(slow_ms=100))

    await listened(bench.many("Expand", a_note("a b")))

    assert lines() == []


async def test_a_flood_of_refusals_is_counted_in_full_and_written_in_samples(
    lines: Callable[[], list[Any]],
) -> None:
    bench = Bench(raising(errors.Shed("too much")))
    flood = int(LINES_PER_S) + 50

    for _ in range(flood):
        await bench.one()
    await asyncio.sleep(1)
    await bench.one()

    assert bench.counted() == {"UNAVAILABLE": flood + 1}
    assert len(lines()) == LINES_PER_S + 1
    assert (lines()[0].omitted, lines()[-1].omitted) == (0, 50)


def test_an_allowance_is_so_many_a_second() -> None:
    allowance = Allowance(2)

    taken = [
        allowance.take(now) for now in (100.0, 100.0, 100.0, 100.5, 100.5, 900.0, 900.0, 900.0)
    ]

    assert taken == [True, True, False, True, False, True, True, False]


async def test_a_hand_encoded_answer_goes_out_as_it_is() -> None:
    async def act(request: Any, call: Call) -> Any:
        return Note(text="by hand").SerializeToString()

    assert await Bench(act).one() == a_note("by hand")
