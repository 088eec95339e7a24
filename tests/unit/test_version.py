"""From a call to its parts and back, counted once. In virtual time, with a pretended model."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.call import Call, Value
from inferd.config.resilience import Breaker as BreakerConfig
from inferd.config.resilience import Outliers as OutliersConfig
from inferd.deadline import NEVER, Deadline
from inferd.errors import (
    CircuitOpen,
    Expired,
    Infeasible,
    InferdError,
    InvalidRequest,
    ModelFailed,
    NotReady,
    Shed,
    TimedOut,
)
from inferd.inference.batch import Batch
from inferd.inference.batcher import Batcher
from inferd.inference.instances import Instances
from inferd.inference.request import Request, Tensors
from inferd.inference.scheduling import (
    LatencyModel,
    Level,
    Policy,
    RunTime,
    Scheduler,
    buckets_of,
)
from inferd.inference.version import ModelVersion
from inferd.inference.warmup import Sample
from inferd.resilience.breaker import Breaker, State
from inferd.resilience.outliers import Outliers
from inferd.runtime.signature import Signature, Tensor
from inferd.telemetry.statistics import ModelStatistics
from support.fake_models import config, tensor

RUN_S = 0.010
DEFAULT_S = 0.5
TEXT = (tensor("x", "BYTES", -1, 2),)
NUMBERS = (tensor("x", "FP32", -1, 2),)
#: Opens after three calls of which all failed, for a second.
STRICT = BreakerConfig(minimum_calls=3, failure_rate=1.0, open_s=1.0, open_jitter=0.0, probes=1)


class Stop:
    def now(self) -> None:
        pass


class Model:
    """An instance and its session: takes `RUN_S` and returns `x` as `y`; 13 is poison."""

    session = None
    control_passes = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.takes_s = RUN_S
        self.ran: list[list[Any]] = []
        self.requests: list[Request] = []
        #: Called when the answers are there and nobody has looked at them yet.
        self.after_run: Callable[[], None] = lambda: None

    def stopper(self) -> Stop:
        return Stop()

    stop = stopper

    def leave(self) -> None:
        pass

    def close(self, *, timeout_s: float) -> None:
        pass

    def submit(self, batch: Batch, done: Callable[[], None]) -> None:
        def finish() -> None:
            self.run_here(batch)
            done()
            self.after_run()

        asyncio.get_running_loop().call_later(self.takes_s, finish)

    def run_here(self, batch: Batch) -> None:
        self.ran.append([each.inputs for each in batch.requests])
        self.requests += batch.requests
        batch.run(self, self._clock)
        if batch.failed and self.control_passes:
            batch.acquit()

    def run(self, inputs: Tensors, outputs: Sequence[str], stop: object) -> list[NDArray[Any]]:
        if (inputs["x"] == 13).any():
            raise ModelFailed("13 is not supported")
        return [inputs["x"] for _ in outputs]


class Fixture:
    def __init__(
        self,
        inputs: Sequence[Tensor] = NUMBERS,
        *,
        max_batch: int = 4,
        seed_s: float = RUN_S,
        breaker: BreakerConfig = STRICT,
        **policy: Any,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        #: Seconds for which the loop was held up.
        self.delay_s = 0.0
        rules = Policy(max_batch=max_batch, **policy)
        buckets = buckets_of(max_batch)
        latency, run_time = LatencyModel(buckets), RunTime(buckets)
        latency.seed(1, seed_s)
        self.model = Model(self.clock)
        outputs = tuple(Tensor(name, inputs[0].datatype, inputs[0].shape) for name in ("y", "z"))
        self.statistics = ModelStatistics("m", "1", latency_bounds_s=(0.1,), batch_bounds=(1, 4))
        self.statistics.state = "READY"
        self.instances = Instances(
            [self.model],
            self.statistics,
            Outliers(OutliersConfig(enabled=False)),
            trial=Sample("trial", {}, 1),
            outputs=("y",),
            latency=latency,
            session_bytes=0,
            build=self.build,
            changed=lambda: None,
            clock=self.clock,
        )
        self.batcher = Batcher(
            Scheduler(rules, latency),
            [self.model],
            self.statistics,
            run_time=run_time,
            inline_below_s=0.0,
            guard_s=rules.guard_s,
            clock=self.clock,
            watch=self.instances,
        )
        self.instances.service = self.batcher
        self.version = ModelVersion(
            name="m",
            number=1,
            config=config("m"),
            signature=Signature(tuple(inputs), outputs, max_batch),
            policy=rules,
            latency=latency,
            batcher=self.batcher,
            instances=self.instances,
            breaker=Breaker(breaker, random=lambda: 0.5),
            statistics=self.statistics,
            default_deadline_s=DEFAULT_S,
            clock=self.clock,
        )

    async def build(self, index: int) -> Model:
        raise AssertionError("nobody hangs or is ejected here")

    def clock(self) -> float:
        return self.loop.time() + self.delay_s

    def hold_up(self, seconds: float) -> None:
        self.delay_s += seconds

    def call(self, *, within_s: float = math.inf, explains: bool = False, **metadata: str) -> Call:
        now = self.loop.time()
        deadline = NEVER if within_s == math.inf else Deadline.after(within_s, now=now)
        said: dict[str, Value] = {key.replace("_", "-"): text for key, text in metadata.items()}
        if explains:
            said["x-explain-latency"] = "1"
        return Call("/m", arrived=now, deadline=deadline, metadata=said)

    def ask(
        self, x: NDArray[Any], *, call: Call | None = None, **options: Any
    ) -> Coroutine[Any, Any, Tensors]:
        return self.version.infer(
            {"x": x},
            rows=options.pop("rows", x.shape[0]),
            outputs=options.pop("outputs", ()),
            call=call or self.call(),
            **options,
        )

    def rows_run(self) -> list[int]:
        return [sum(each["x"].shape[0] for each in batch) for batch in self.model.ran]


def numbers(rows: int, start: int = 100) -> NDArray[np.float32]:
    return np.arange(start, start + 2 * rows, dtype=np.float32).reshape(rows, 2)


async def test_all_outputs_come_unless_some_are_named() -> None:
    it, x = Fixture(), numbers(2)

    everything, one = await asyncio.gather(it.ask(x), it.ask(x, outputs=("z",)))

    assert (list(everything), list(one)) == (["y", "z"], ["z"])
    assert everything["y"].tolist() == one["z"].tolist() == x.tolist()


@pytest.mark.parametrize(("rows", "runs"), [(4, [4]), (5, [4, 1]), (11, [4, 4, 3])])
async def test_more_rows_than_a_batch_holds_run_in_parts(rows: int, runs: list[int]) -> None:
    it, x = Fixture(), numbers(rows)

    answer = await it.ask(x)

    assert answer["y"].tolist() == x.tolist()
    assert sorted(it.rows_run()) == sorted(runs)
    assert (it.statistics.success.count, it.statistics.inference_count) == (1, rows)


async def test_a_model_that_does_not_batch_gets_its_tensors_as_they_are() -> None:
    it, x = Fixture((tensor("x", "FP32", 3, 2),), max_batch=1), numbers(3)

    answer = await it.ask(x, rows=1)

    assert answer["y"] is x


async def test_more_rows_than_the_queue_could_ever_hold_are_the_callers_mistake() -> None:
    it = Fixture(max_queue=3)

    assert len((await it.ask(numbers(12)))["y"]) == 12
    with pytest.raises(InvalidRequest, match="13 rows for model 'm', at most 12") as refused:
        await it.ask(numbers(13))

    assert refused.value.violations[0].field == "inputs"


async def test_when_a_part_fails_the_rest_is_not_run_and_the_call_counts_once() -> None:
    it, x = Fixture(), numbers(40)
    x[0] = 13

    with pytest.raises(ModelFailed):
        await it.ask(x)
    await it.batcher.drain()

    assert it.rows_run() == [4, 4], "the second had begun"
    assert it.statistics.failures == {"BACKEND": 1, "REJECTED": 0, "CANCELED": 0, "OTHER": 0}


@pytest.mark.parametrize(
    ("error", "reason", "within_s"),
    [(Infeasible, "INFEASIBLE", 0.005), (Shed, "SHED", 0.025), (Shed, "SHED", 1.0)],
)
async def test_a_call_that_gets_no_answer_counts_once_by_the_reason_it_is_told(
    error: type[InferdError], reason: str, within_s: float
) -> None:
    it = Fixture(max_queue=8)
    before = [asyncio.create_task(it.ask(numbers(4))) for _ in range(4)]
    await asyncio.sleep(0)

    with pytest.raises(error):
        await it.ask(numbers(20), call=it.call(within_s=within_s))

    await asyncio.gather(*before)
    assert it.statistics.drops == {reason: 1}
    assert it.statistics.fail.count == it.statistics.failures["REJECTED"] == 1
    assert it.statistics.success.count == 4


async def test_a_call_that_is_given_up_counts_once() -> None:
    it = Fixture()
    it.model.takes_s = 0.1
    before = asyncio.create_task(it.ask(numbers(4)))
    await asyncio.sleep(0)

    with pytest.raises(TimedOut):
        await it.ask(numbers(5), call=it.call(within_s=0.045))

    await before
    assert it.statistics.drops == {"TIMED_OUT": 1}
    assert it.statistics.fail.count == it.statistics.failures["REJECTED"] == 1


async def test_the_inputs_of_a_refused_call_are_never_read() -> None:
    it = Fixture()
    before = asyncio.create_task(it.ask(numbers(4)))
    await asyncio.sleep(RUN_S / 2)
    read: list[str] = []

    def inputs() -> Tensors:
        read.append("x")
        return {"x": numbers(1)}

    def call(within_s: float) -> Coroutine[Any, Any, Tensors]:
        call = it.call(within_s=within_s)
        return it.version.infer(inputs, rows=1, outputs=(), call=call)

    with pytest.raises(Shed):
        await call(0.012)
    assert not read
    answer = await call(0.1)

    await before
    assert answer["y"].tolist() == numbers(1).tolist()
    assert read == ["x"]


async def test_inputs_that_cannot_be_read_leave_nothing_in_the_queue() -> None:
    it = Fixture()

    def inputs() -> Tensors:
        raise InvalidRequest("not like this")

    with pytest.raises(InvalidRequest):
        await it.version.infer(inputs, rows=1, outputs=(), call=it.call())

    assert it.batcher.waiting() == 0
    await it.batcher.drain()
    assert it.rows_run() == []
    assert it.statistics.fail.count == 0, "who reads the request counts it"


async def test_a_caller_who_leaves_counts_once_and_takes_all_parts_along() -> None:
    it = Fixture()
    leaving = asyncio.create_task(it.ask(numbers(40)))
    staying = asyncio.create_task(it.ask(numbers(1)))
    await asyncio.sleep(RUN_S / 2)

    leaving.cancel()
    answer = await staying

    assert answer["y"].tolist() == numbers(1).tolist()
    assert it.rows_run() == [4, 1]
    assert it.statistics.drops == {"CANCELLED": 1}
    assert it.statistics.cancel.count == it.statistics.fail.count == 1


async def test_a_caller_who_leaves_in_the_moment_it_is_dropped_counts_once() -> None:
    it = Fixture(guard_s=0.0)
    task = asyncio.create_task(it.ask(numbers(1), call=it.call(within_s=0.005)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises((Infeasible, asyncio.CancelledError)):
        await task

    assert it.statistics.fail.count == 1


async def test_an_answer_that_nobody_could_fetch_in_time_is_none() -> None:
    it = Fixture()
    it.model.after_run = lambda: it.hold_up(0.1)

    with pytest.raises(Expired):
        await it.ask(numbers(1), call=it.call(within_s=0.1))

    assert it.rows_run() == [1]
    assert it.statistics.drops == {"LATE_DROP": 1}
    assert it.statistics.success.count == 0


async def test_without_a_deadline_there_is_a_default_one() -> None:
    it = Fixture(seed_s=0.4, guard_s=0.0)
    first = asyncio.create_task(it.ask(numbers(4)))

    assert (await first)["y"].size
    with pytest.raises(Infeasible):
        await Fixture(seed_s=DEFAULT_S + 0.001, guard_s=0.0).ask(numbers(1))


@pytest.mark.parametrize(
    ("policy", "options", "refused"),
    [
        ({}, {"timeout_s": 0.005}, True),
        ({}, {"timeout_s": 5.0}, False),
        ({"default_limits": Level(allow_timeout_override=False)}, {"timeout_s": 0.005}, False),
        ({"default_limits": Level(timeout_s=0.005)}, {}, True),
        (
            {"levels": 2, "default_level": 2, "limits": {2: Level(timeout_s=0.005)}},
            {"priority": 1},
            False,
        ),
        (
            {"levels": 2, "default_level": 2, "limits": {2: Level(timeout_s=0.005)}},
            {},
            True,
        ),
    ],
)
async def test_timeouts_tighten_the_deadline(
    policy: dict[str, Any], options: dict[str, Any], refused: bool
) -> None:
    it = Fixture(**policy)
    asking = it.ask(numbers(1), call=it.call(within_s=1.0), **options)

    if refused:
        with pytest.raises(Infeasible):
            await asking
    else:
        assert (await asking)["y"].size


async def test_a_timeout_never_loosens_the_deadline() -> None:
    it = Fixture()

    with pytest.raises(Infeasible):
        await it.ask(numbers(1), call=it.call(within_s=0.005), timeout_s=5.0)


@pytest.mark.parametrize("priority", [-1, 3])
async def test_a_priority_that_the_model_does_not_have(priority: int) -> None:
    it = Fixture(levels=2, default_level=1)

    with pytest.raises(InvalidRequest, match="between 1 and 2 for model 'm'") as refused:
        await it.ask(numbers(1), priority=priority)

    assert refused.value.violations[0].field == "parameters[priority]"


async def test_where_there_are_no_priorities_they_are_ignored() -> None:
    assert (await Fixture().ask(numbers(1), priority=7))["y"].size


async def test_text_is_text_for_the_model_and_bytes_for_the_caller() -> None:
    it = Fixture(TEXT)
    words = np.array([["grüß".encode(), b"a\0b"]], object)

    answer = await it.ask(words)

    assert it.model.ran[0][0]["x"].tolist() == [["grüß", "a\0b"]]
    assert answer["y"].tolist() == words.tolist()


async def test_text_that_is_none_is_named() -> None:
    it = Fixture(TEXT)

    with pytest.raises(InvalidRequest, match="element 1 of input 'x' is not valid UTF-8") as wrong:
        await it.ask(np.array([[b"fine", b"\xff"]], object))

    assert wrong.value.violations[0].field == "inputs[0]"
    assert not it.model.ran


async def test_only_rows_of_one_shape_share_a_batch() -> None:
    it = Fixture((tensor("x", "FP32", -1, -1),))
    narrow, wide = np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)

    answers = await asyncio.gather(*(it.ask(each) for each in (narrow, wide, narrow)))

    assert it.rows_run() == [2, 1]
    assert [each["y"].shape for each in answers] == [(1, 2), (1, 3), (1, 2)]


async def test_only_callers_who_left_out_the_same_inputs_share_a_batch() -> None:
    it = Fixture((*NUMBERS, tensor("w", "FP32", -1, 2, optional=True)))
    x = numbers(1)

    await asyncio.gather(
        it.ask(x),
        it.version.infer({"x": x, "w": x}, rows=1, outputs=(), call=it.call()),
        it.ask(x),
    )

    assert it.rows_run() == [2, 1]


async def test_a_caller_can_be_told_where_the_time_went() -> None:
    it = Fixture()
    first = asyncio.create_task(it.ask(numbers(4)))
    await asyncio.sleep(RUN_S / 2)
    call = it.call(explains=True)

    await asyncio.gather(first, it.ask(numbers(1), call=call))

    stages = dict(call.stages)
    assert list(stages) == ["decode", "queue", "batch-wait", "compute", "return"]
    assert stages["queue"] == pytest.approx(RUN_S / 2)
    assert sum(stages.values()) == pytest.approx(it.loop.time() - call.arrived)


async def test_a_caller_can_be_told_of_its_batch() -> None:
    it = Fixture()
    curious, indifferent = it.call(explains=True), it.call()

    await asyncio.gather(it.ask(numbers(1), call=curious), it.ask(numbers(2), call=indifferent))

    assert curious.trailing == [("x-queue-ms", "0.000"), ("x-batch", "3")]
    assert indifferent.trailing == []


async def test_who_waited_in_vain_is_told_how_long() -> None:
    it = Fixture()
    it.model.takes_s = 0.1
    before = asyncio.create_task(it.ask(numbers(4)))
    await asyncio.sleep(RUN_S / 2)
    call = it.call(within_s=0.04)

    with pytest.raises(Expired):
        await it.ask(numbers(1), call=call)

    await before
    [(key, waited_ms)] = call.trailing
    assert key == "x-queue-ms"
    assert float(waited_ms) == pytest.approx((0.04 - RUN_S) * 1000, abs=2.5)


async def test_who_is_late_in_a_batch_is_told_which() -> None:
    it = Fixture()
    it.model.takes_s = 0.1
    call = it.call(within_s=0.04)

    with pytest.raises(TimedOut):
        await it.ask(numbers(3), call=call)

    assert call.trailing == [("x-queue-ms", "0.000"), ("x-batch", "3")]


async def test_who_is_refused_at_the_door_has_not_waited() -> None:
    it = Fixture()
    call = it.call(within_s=0.001)

    with pytest.raises(Infeasible):
        await it.ask(numbers(1), call=call)

    assert call.trailing == []


async def test_requests_carry_what_their_callers_say_of_themselves() -> None:
    it = Fixture()

    await it.ask(numbers(1), call=it.call(x_criticality="sheddable", client_id="reports"))
    await it.ask(numbers(1), call=it.call(grpc_previous_rpc_attempts="2"))
    await it.ask(numbers(1))

    first, again, other = it.model.requests
    assert (first.weight, first.caller, first.retried) == (0.01, "reports", False)
    assert (again.caller, again.retried) == (None, True)
    assert (other.weight, other.caller, other.retried) == (1.0, None, False)


async def test_the_parts_of_a_request_are_worth_one_request_together() -> None:
    it = Fixture()

    await it.ask(numbers(10), call=it.call(x_criticality="CRITICAL_PLUS"))

    assert sorted(each.rows for each in it.model.requests) == [2, 4, 4]
    assert [each.weight for each in it.model.requests] == pytest.approx([10 / 3] * 3)


async def test_a_criticality_that_there_is_not_never_gets_in() -> None:
    it = Fixture()

    with pytest.raises(InvalidRequest, match="x-criticality must be one of"):
        await it.ask(numbers(1), call=it.call(x_criticality="URGENT"))

    await it.batcher.drain()
    assert it.rows_run() == []
    assert it.statistics.fail.count == 0, "who reads the request counts it"


@pytest.mark.parametrize(
    ("limits", "timeout_s", "yields_after_s"),
    [
        (Level(timeout_s=0.005, delays=True), None, 0.005),
        (Level(timeout_s=0.005, delays=True), 0.002, 0.002),
        (Level(timeout_s=0.005, delays=True), 0.009, 0.005),
        (Level(timeout_s=0.005, delays=True, allow_timeout_override=False), 0.002, 0.005),
        (Level(delays=True), None, math.inf),
    ],
)
async def test_where_a_timeout_delays_the_deadline_stays_what_it_is(
    limits: Level, timeout_s: float | None, yields_after_s: float
) -> None:
    it = Fixture(default_limits=limits)

    answer = await it.ask(numbers(1), call=it.call(within_s=1.0), timeout_s=timeout_s)

    [request] = it.model.requests
    assert answer["y"].size
    assert request.deadline == pytest.approx(1.0)
    assert request.yields_at == pytest.approx(request.arrived + yields_after_s)


async def test_where_a_timeout_refuses_nobody_goes_behind_others() -> None:
    it = Fixture(default_limits=Level(timeout_s=0.1))

    await it.ask(numbers(1), call=it.call(within_s=1.0))

    [request] = it.model.requests
    assert request.deadline == pytest.approx(0.1)
    assert request.yields_at == math.inf


async def test_what_is_left_of_the_deadline_is_counted() -> None:
    it = Fixture()

    await it.ask(numbers(1), call=it.call(within_s=0.1))

    assert it.statistics.slack_s.sum == pytest.approx(0.1 - RUN_S)


async def test_a_version_that_has_drained_takes_no_more() -> None:
    it = Fixture()
    call = asyncio.create_task(it.ask(numbers(1)))
    await asyncio.sleep(0)

    draining = asyncio.create_task(it.batcher.drain())
    answer = await call
    await draining

    assert answer["y"].size
    with pytest.raises(NotReady):
        await it.ask(numbers(1))
    assert it.statistics.drops == {"NOT_READY": 1}


async def test_the_capacity_is_that_of_the_instances_at_their_best_size() -> None:
    it = Fixture()

    assert it.version.capacity_rows_s == pytest.approx(4 / RUN_S), "as predicted: a batch of 4"

    it.statistics.instances = 2
    assert it.version.capacity_rows_s == pytest.approx(4 / RUN_S), "it was worked out just now"
    await asyncio.sleep(0.2)
    assert it.version.capacity_rows_s == pytest.approx(8 / RUN_S)


# -- the breaker -------------------------------------------------------------------------------


def poison(rows: int = 1) -> NDArray[np.float32]:
    return np.full((rows, 2), 13, np.float32)


async def fails(it: Fixture, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ModelFailed):
            await it.ask(poison())


async def test_a_model_that_fails_everybody_is_left_alone_for_a_while() -> None:
    it = Fixture()
    await fails(it, 3)
    runs = len(it.model.ran)

    with pytest.raises(CircuitOpen, match="'m' version 1 has failed too often") as refused:
        await it.ask(numbers(1))

    assert refused.value.retry_after_s == pytest.approx(1.0)
    assert len(it.model.ran) == runs
    assert it.statistics.drops == {"BREAKER_OPEN": 1}


async def test_a_probe_that_is_answered_closes_the_breaker() -> None:
    it = Fixture()
    await fails(it, 3)
    await asyncio.sleep(1.1)

    await it.ask(numbers(1))
    await it.ask(numbers(1))

    assert it.version.breaker.state is State.CLOSED


async def test_poison_among_strangers_says_nothing_about_the_model() -> None:
    it = Fixture()

    for _ in range(5):
        results = await asyncio.gather(
            it.ask(numbers(1)), it.ask(poison()), it.ask(poison()), return_exceptions=True
        )
        assert [isinstance(each, ModelFailed) for each in results] == [False, True, True]

    assert it.version.breaker.state is State.CLOSED
    assert it.version.breaker.counts(it.loop.time()).failures == 0


async def test_poison_that_came_alone_says_nothing_about_a_model_that_does_well_otherwise() -> None:
    it = Fixture()
    it.model.control_passes = True

    await fails(it, 20)

    assert it.version.breaker.counts(it.loop.time()).calls == 0


async def test_refusals_deadlines_and_leavers_say_nothing_about_the_model() -> None:
    it = Fixture()
    for _ in range(5):
        with pytest.raises(Infeasible):
            await it.ask(numbers(1), call=it.call(within_s=RUN_S / 2))
        with pytest.raises(InvalidRequest):
            await it.ask(numbers(1), call=it.call(x_criticality="so so"))
        leaver = asyncio.create_task(it.ask(numbers(1)))
        await asyncio.sleep(RUN_S / 2)
        leaver.cancel()
        await asyncio.sleep(2 * RUN_S)

    assert it.version.breaker.counts(it.loop.time()).calls == 0


async def test_a_forced_breaker_refuses_and_lets_go() -> None:
    it = Fixture()
    it.version.breaker.force(State.FORCED_OPEN, it.loop.time())

    with pytest.raises(CircuitOpen):
        await it.ask(numbers(1))
    it.version.breaker.force(None, it.loop.time())

    await it.ask(numbers(1))


def test_parts_that_are_run_in_another_order_take_no_negative_time() -> None:
    early, late = (
        Request(outputs=("y",), rows=1, deadline=9.0, arrived=0.0, caller=None) for _ in range(2)
    )
    early.picked, early.run_began, early.run_ended = 1.0, 1.0, 2.0
    late.picked, late.run_began, late.run_ended = 2.0, 2.0, 4.0
    taken: list[float] = []

    class Statistics:
        def answered(self, *, compute_s: float, **_: float) -> None:
            taken.append(compute_s)

    version = object.__new__(ModelVersion)
    version.statistics = cast(ModelStatistics, Statistics())
    version._record([late, early], 2, Call("/a/B", arrived=0.0), 5.0)

    assert taken == [3.0]
