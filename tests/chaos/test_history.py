"""A few seconds of everything at once, and then a look at the whole history of calls.

Callers with much time and with little, callers who leave, poison, nonsense and models that
there are not, at the times of a Poisson process that waits for nobody; the slow model is
asked for half as much again as it can do. Whatever happened to each, it must have been one
of the things that may happen to it, and the server's books must tell the same story.

The seed is printed; `INFERD_CHAOS_SEED` sets another.
"""

import asyncio
import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode
from numpy.typing import NDArray

import inferd_client
from inferd.transport.envoy.bootstrap import SHED
from inferd_client import AsyncClient, InferResult, RetryPolicy
from support.server import Server, eventually, serving
from support.transports import TRANSPORTS, Transport

SEED = int(os.environ.get("INFERD_CHAOS_SEED", "20"))
DURATION_S = 4.0
#: Calls per second to the models that take next to no time.
FAST_PER_S = 700.0
OVERLOAD = 1.5
AMPLE_S = 30.0
#: By how much this process may be late to see an answer that was in time, besides what its
#: own event loop was seen to be late by.
CLIENT_SLACK_S = 1.0
SAMPLE_S = 0.01
MODELS = ("simple", "identity_fp32", "poison", "slow")
LOAD = [argument for name in MODELS for argument in ("--load-model", name)]
#: Small, so that some are turned away at the door.
MAX_QUEUE = {"INFERD__INFERENCE__MAX_QUEUE": "12"}

#: gRPC's own way to turn a stream away before the server hears of it, when more come than it
#: can announce. Only on a machine that has other things to do.
REFUSED_STREAM = "RST_STREAM with error code 7"
MOST_REFUSED_STREAMS = 0.05

Inputs = Mapping[str, NDArray[Any]]


@dataclass
class Call:
    """One call: what it was to be, and what became of it."""

    number: int
    kind: str
    model: str
    inputs: Inputs
    #: When to send it, and when its caller leaves; seconds from the start and from then.
    at: float
    #: What the caller gives it, by the deadline of the RPC and by the parameter.
    rpc_timeout_s: float = AMPLE_S
    parameter_s: float | None = None
    leaves_after_s: float | None = None
    #: Whether an answer is the right one.
    right: Callable[[InferResult], bool] = field(repr=False, default=lambda _: False)

    sent: float = 0.0
    finished: float = 0.0
    outcomes: list[Any] = field(default_factory=list)

    @property
    def outcome(self) -> Any:
        return self.outcomes[0]

    @property
    def answered(self) -> bool:
        return isinstance(self.outcome, InferResult)

    @property
    def reason(self) -> str:
        """What the server told, or what this side decided: `CANCELLED` and `LOCAL_DEADLINE`."""
        if self.answered:
            return "OK"
        if isinstance(self.outcome, asyncio.CancelledError):
            return "CANCELLED"
        reason: str = self.outcome.reason
        if not reason and isinstance(self.outcome, inferd_client.DeadlineExceeded):
            return "LOCAL_DEADLINE"
        if REFUSED_STREAM in self.outcome.message:
            return "REFUSED_STREAM"
        if self.outcome.message == SHED.args[0]:
            return "SHED_BY_ENVOY"
        return reason or repr(self.outcome)

    @property
    def told(self) -> bool:
        """Whether the server's word reached the caller."""
        return self.reason not in {"CANCELLED", "LOCAL_DEADLINE", "REFUSED_STREAM"}

    @property
    def arrived(self) -> bool:
        """Whether the server may have heard of it: Envoy refuses calls by itself."""
        return self.reason != "SHED_BY_ENVOY"


# -- what is called --------------------------------------------------------------------


def rows_of(number: int, rows: int, width: int, dtype: type) -> NDArray[Any]:
    """Return rows that no other call has."""
    return (np.arange(rows * width).reshape(rows, width) + 1000 * number).astype(dtype)


def adding(call: Call, rows: int) -> None:
    first = rows_of(call.number, rows, 16, np.int32)
    call.model, call.inputs = "simple", {"INPUT0": first, "INPUT1": np.ones_like(first)}
    call.right = lambda answer: (
        answer["OUTPUT0"].tolist() == (first + 1).tolist()
        and answer["OUTPUT1"].tolist() == (first - 1).tolist()
    )


def echoing(call: Call, rows: int, width: int) -> None:
    x = rows_of(call.number, rows, width, np.float32)
    call.model, call.inputs = "identity_fp32", {"INPUT0": x}
    call.right = lambda answer: answer["OUTPUT0"].tolist() == x.tolist()


def taking_long(call: Call, rows: int) -> None:
    # Small whole numbers: those it gives back exactly.
    x = np.arange(rows, dtype=np.float32).reshape(rows, 1) + 16 * call.number
    call.model, call.inputs = "slow", {"INPUT0": x}
    call.right = lambda answer: answer["OUTPUT0"].tolist() == x.tolist()


def looking_up(call: Call, index: int) -> None:
    call.model, call.inputs = "poison", {"INDEX": np.array([[index]], np.int64)}
    call.right = lambda answer: answer["OUTPUT0"].tolist() == [[10.0 * (index + 1)]]


def fast_calls(rng: random.Random) -> Iterator[Call]:
    at, number = 0.0, 0
    while (at := at + rng.expovariate(FAST_PER_S)) < DURATION_S:
        number += 1
        call = Call(number, "good", "", {}, at)
        draw = rng.random()
        if draw < 0.45:
            adding(call, rng.choice((1, 1, 1, 3, 8, 20)))
        elif draw < 0.80:
            echoing(call, rng.choice((1, 2, 40)), rng.choice((1, 5, 64)))
        elif draw < 0.87:
            looking_up(call, rng.randrange(4))
        elif draw < 0.93:
            call.kind, call.model = "poison", "poison"
            call.inputs = {"INDEX": np.array([[99]], np.int64)}
        elif draw < 0.97:
            call.kind, call.model = "bad", "simple"
            call.inputs = {"INPUT0": np.zeros((1, 17), np.int32)}
        else:
            call.kind, call.model = "unknown", "nosuch"
            call.inputs = {"INPUT0": np.zeros((1, 1), np.float32)}
        if call.kind == "good":
            give_time(call, rng, tight_s=(0.002, 0.02))
        yield call


def slow_calls(rng: random.Random, rows_per_s: float) -> Iterator[Call]:
    at, number = 0.0, 0
    sizes = (1, 1, 2, 4, 12)
    while (at := at + rng.expovariate(rows_per_s * len(sizes) / sum(sizes))) < DURATION_S:
        number += 1
        call = Call(number, "good", "", {}, at)
        taking_long(call, rng.choice(sizes))
        give_time(call, rng, tight_s=(0.01, 0.6))
        yield call


def volley() -> Iterator[Call]:
    """Yield more calls at once than may wait."""
    for number in range(30):
        call = Call(1000 + number, "good", "", {}, DURATION_S / 2)
        taking_long(call, 1)
        yield call


def give_time(call: Call, rng: random.Random, *, tight_s: tuple[float, float]) -> None:
    """Give a call much time, or little in one of two ways; some callers leave."""
    draw = rng.random()
    if draw < 0.25:
        call.rpc_timeout_s = rng.uniform(*tight_s)
    elif draw < 0.5:
        call.parameter_s = rng.uniform(*tight_s)
    elif draw < 0.65:
        call.leaves_after_s = rng.uniform(0.0, tight_s[1])


# -- calling ---------------------------------------------------------------------------


async def make(call: Call, client: AsyncClient) -> None:
    parameters = {} if call.parameter_s is None else {"timeout": int(call.parameter_s * 1e6)}
    call.sent = time.monotonic()
    try:
        outcome: Any = await client.infer(
            call.model, call.inputs, timeout_s=call.rpc_timeout_s, parameters=parameters
        )
    except inferd_client.InferdError as error:
        outcome = error
    except asyncio.CancelledError as left:
        outcome = left
    call.finished = time.monotonic()
    call.outcomes.append(outcome)


async def make_all(calls: Sequence[Call], clients: Sequence[AsyncClient]) -> None:
    """Make every call at its time, whatever has become of the others."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            await asyncio.sleep(start + call.at - loop.time())
            task = tasks.create_task(make(call, clients[call.number % len(clients)]))
            if call.leaves_after_s is not None:
                loop.call_later(call.leaves_after_s, task.cancel)


@asynccontextmanager
async def lateness() -> AsyncIterator[list[float]]:
    """Sample how late this event loop is, in seconds, for as long as the block lasts."""
    samples = [0.0]

    async def sample() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(SAMPLE_S)
            samples.append(time.monotonic() - before - SAMPLE_S)

    async with asyncio.TaskGroup() as tasks:
        sampler = tasks.create_task(sample())
        yield samples
        sampler.cancel()


async def capacity(client: AsyncClient) -> float:
    """Return how many rows `slow` does in a second."""
    batch = {"INPUT0": np.ones((8, 1), np.float32)}
    times = []
    for _ in range(3):
        began = time.monotonic()
        await client.infer("slow", batch, timeout_s=AMPLE_S)
        times.append(time.monotonic() - began)
    return 8 / min(times)


@asynccontextmanager
async def connections(server: Server, count: int) -> AsyncIterator[list[AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                AsyncClient(server.address, retry=RetryPolicy(max_attempts=1))
            )
            for _ in range(count)
        ]


# -- what may have happened --------------------------------------------------------------

#: By kind: how a call with all the time in the world may end.
UNHURRIED = {
    "good": {"OK", "SHED"},
    "poison": {"MODEL_FAILED", "SHED"},
    "bad": {"INVALID_REQUEST"},
    "unknown": {"NOT_FOUND"},
}
CODES = {
    "SHED": StatusCode.UNAVAILABLE,
    "SHED_BY_ENVOY": StatusCode.UNAVAILABLE,
    "INFEASIBLE": StatusCode.DEADLINE_EXCEEDED,
    "LATE_DROP": StatusCode.DEADLINE_EXCEEDED,
    "TIMED_OUT": StatusCode.DEADLINE_EXCEEDED,
    "DEADLINE_EXCEEDED": StatusCode.DEADLINE_EXCEEDED,
    "MODEL_FAILED": StatusCode.INTERNAL,
    "INVALID_REQUEST": StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": StatusCode.NOT_FOUND,
}
#: `TIMED_OUT` says that the run was slow, as it is where others have the processors.
TOO_LATE = {"INFEASIBLE", "LATE_DROP", "TIMED_OUT", "DEADLINE_EXCEEDED"}
NEVER_AGAIN = {*TOO_LATE, "MODEL_FAILED", "SHED_BY_ENVOY"}


def check(call: Call, *, slack_s: float) -> None:
    """Check that what became of a call may become of such a call."""
    assert len(call.outcomes) == 1, "exactly one outcome"
    may = {*UNHURRIED[call.kind], "REFUSED_STREAM", "SHED_BY_ENVOY"}
    if call.rpc_timeout_s < AMPLE_S:
        may |= {*TOO_LATE, "LOCAL_DEADLINE"}
    if call.parameter_s is not None:
        may |= TOO_LATE
    if call.leaves_after_s is not None:
        may.add("CANCELLED")
    assert call.reason in may, call
    if call.answered:
        check_answer(call, slack_s)
    elif call.told:
        check_refusal(call)


def check_answer(call: Call, slack_s: float) -> None:
    assert call.right(call.outcome), "somebody else's answer, or nobody's"
    # The parameter counts from when the server reads it: for that there are the server's books.
    assert call.finished <= call.sent + call.rpc_timeout_s + slack_s, "OK after the deadline"


def check_refusal(call: Call) -> None:
    error = call.outcome
    assert error.code is CODES[call.reason]
    assert error.message
    if call.reason in NEVER_AGAIN:
        assert error.pushback_ms == -1
    elif call.reason == "SHED":
        assert error.pushback_ms is not None
        assert (error.retry_after_s is None) == (error.pushback_ms < 0)
    else:
        assert error.pushback_ms is None
    assert bool(error.violations) == (call.reason == "INVALID_REQUEST")


# -- the server's books ------------------------------------------------------------------


def metric(page: str, name: str, **labels: str) -> int:
    """Return the sum of the samples with these labels."""
    total = 0
    for given, number in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page, re.MULTILINE):
        if all(f'{label}="{text}"' in given for label, text in labels.items()):
            total += int(number)
    return total


def check_books(page: str, model: str, calls: Sequence[Call]) -> None:
    """Check a model's counts. Those whom no word reached may be in them, or never came."""
    told = Counter(call.reason for call in calls if call.told)
    unheard = sum(not call.told for call in calls)
    success = metric(page, "nv_inference_request_success", model=model)
    failure = metric(page, "nv_inference_request_failure", model=model)
    assert sum(told.values()) <= success + failure <= len(calls)
    # Answered, and then not sent because its deadline passed on the last metres.
    unsent = told["DEADLINE_EXCEEDED"]
    assert told["OK"] <= success <= told["OK"] + unheard + unsent
    for reason in ("INFEASIBLE", "LATE_DROP", "TIMED_OUT", "SHED"):
        dropped = metric(page, "inferd_dropped_total", model=model, reason=reason)
        assert told[reason] <= dropped <= told[reason] + unheard, reason
    # Nobody who sends poison or nonsense leaves or is in a hurry.
    backend = metric(page, "nv_inference_request_failure", model=model, reason="BACKEND")
    other = metric(page, "nv_inference_request_failure", model=model, reason="OTHER")
    assert (backend, other) == (told["MODEL_FAILED"], told["INVALID_REQUEST"])
    too_late = metric(page, "inferd_deadline_slack_seconds_bucket", model=model, le="0.0")
    assert too_late == 0, "an OK after its deadline, by the server's own clock"
    rows = metric(page, "nv_inference_count", model=model)
    answered = sum(len(next(iter(each.inputs.values()))) for each in calls if each.answered)
    assert rows >= answered
    assert rows == answered or success > told["OK"]


def check_envoys_books(page: str, calls: Sequence[Call]) -> None:
    """Check how many Envoy has refused: none where there is no Envoy."""
    told = sum(not call.arrived for call in calls)
    unheard = sum(not call.told for call in calls)
    shed = metric(page, r"envoy_http_fault_aborts_injected")
    assert told <= shed <= told + unheard


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_history_of_a_few_bad_seconds(tmp_path: Path, transport: Transport) -> None:
    tell(f"INFERD_CHAOS_SEED={SEED}")
    rng = random.Random(SEED)
    control = ("--control-mode", "explicit", *LOAD)
    with serving(tmp_path, *control, transport=transport, environment=MAX_QUEUE) as server:
        async with connections(server, 5) as clients:
            rows_per_s = await capacity(clients[0])
            warmed_up = 3
            slow = slow_calls(rng, OVERLOAD * rows_per_s)
            calls = sorted([*fast_calls(rng), *slow, *volley()], key=lambda call: call.at)
            async with lateness() as late_s:
                await make_all(calls, clients)
            await asyncio.to_thread(eventually, lambda: is_quiet(server))
            page = server.get("/metrics")
            await next_calls_work(clients[0])

    slack_s = CLIENT_SLACK_S + max(late_s)
    for call in calls:
        check(call, slack_s=slack_s)
    by_model = {model: [call for call in calls if call.model == model] for model in MODELS}
    history = Counter((call.model, call.reason) for call in calls)
    for (model, reason), count in sorted(history.items()):
        tell(f"{count:5} {model} {reason}")
    by_model["slow"] += [an_answered_call() for _ in range(warmed_up)]
    for model, its_calls in by_model.items():
        check_books(page, model, [call for call in its_calls if call.arrived])
    check_envoys_books(page, calls)
    refused_streams = sum(call.reason == "REFUSED_STREAM" for call in calls)
    assert refused_streams <= MOST_REFUSED_STREAMS * len(calls)
    assert {"OK", "SHED", "INFEASIBLE", "LATE_DROP", "MODEL_FAILED", "CANCELLED"} <= {
        reason for _, reason in history
    }, "not much of a burst"


def tell(line: str) -> None:
    """Print what helps to understand a failure: pytest shows it when there is one."""
    print(line)  # noqa: T201


def is_quiet(server: Server) -> bool:
    """Whether nothing waits and nothing is under way."""
    page = server.get("/metrics")
    method = "inference.GRPCInferenceService/ModelInfer"
    return not metric(page, "inferd_queue_depth") and not metric(
        page, "inferd_rpc_in_flight", method=method
    )


async def next_calls_work(client: AsyncClient) -> None:
    calls = [Call(1, "good", "", {}, 0.0) for _ in range(2)]
    adding(calls[0], 1)
    taking_long(calls[1], 1)
    for call in calls:
        await make(call, client)
        assert call.answered, call
        check(call, slack_s=CLIENT_SLACK_S)


def an_answered_call() -> Call:
    """Return one of those that measured the capacity, as the books have it."""
    call = Call(0, "good", "slow", {"INPUT0": np.ones((8, 1), np.float32)}, 0.0)
    call.outcomes.append(InferResult("slow", "1", "", {}, {}, {}))
    return call
