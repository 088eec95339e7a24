"""Stages and ladders: which rung serves, what is said about it, and what it costs in time."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from inferd.call import CRITICALITY, Call
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.deadline import NEVER, Deadline
from inferd.errors import DependencyFailed, InvalidRequest, NoBudget, TimedOut
from inferd.resilience.degradation import TRAILER
from inferd.resilience.endpoint import Answer, BadCascade, Endpoint, OptionalStage
from inferd.resilience.endpoint import Stage as Guarded
from inferd.resilience.load import Capacity
from inferd.resilience.stale import Stale
from support.garbage import garbage_left_by
from support.guards import Act, Scripted, a_call, a_dependency, now, used_to

RANK = "/shop.Ranking/Rank"
BROKEN = DependencyFailed("it is broken")

SCORE = Stage(
    name="score",
    ladder=(
        Rung(name="full", seed_ms=20, up_to_load=1.2),
        Rung(name="small", seed_ms=5),
        Rung(name="rule", seed_ms=1),
    ),
)
TREND = Stage(name="trend", ladder=(Rung(name="model", seed_ms=5, up_to_load=0.9),), optional=True)


class Shop:
    """An endpoint whose rungs do as they are told. One answers with its own name."""

    def __init__(self, *stages: Stage, capacity: Capacity | None = None, **settings: Any) -> None:
        cascade = Cascade(stages=stages or (SCORE,), **settings)
        clock = asyncio.get_running_loop().time
        self.endpoint = Endpoint(RANK, cascade, clock=clock, capacity=capacity)
        self.acts: dict[str, Act | Stale[str]] = {}
        self.calls: list[str] = []
        #: By rung, until when it was told it may run.
        self.until: dict[str, float] = {}
        self.score: Guarded[[], str] | None = None
        self.trend: OptionalStage[[], str] | None = None
        for stage in cascade.stages:
            ways = {rung.name: self._way(rung.name) for rung in stage.ladder}
            if stage.optional:
                self.trend = self.endpoint.optional_stage(stage.name, **ways)
            else:
                self.score = self.endpoint.stage(stage.name, **ways)

    def _way(self, name: str) -> Any:
        async def way(call: Call, deadline: Any) -> str | Stale[str]:
            self.calls.append(name)
            self.until[name] = deadline.at
            act = self.acts.get(name, 0.0)
            if isinstance(act, Stale):
                return act
            await Scripted(act)(call, deadline)
            return name

        return way

    async def ask(self, call: Call | None = None) -> str | None:
        call = call or a_call()
        with self.endpoint.answering(call) as answer:
            return await self.stage(answer)

    async def stage(self, answer: Answer) -> str | None:
        if self.score is not None:
            return await self.score(answer)
        assert self.trend is not None
        return await self.trend(answer)


def degraded(call: Call) -> str:
    return ",".join(str(value) for key, value in call.trailing if key == TRAILER)


class TestLadder:
    async def test_the_first_rung_that_serves_makes_a_full_answer(self) -> None:
        shop, call = Shop(), a_call()

        assert await shop.ask(call) == "full"

        assert not call.trailing
        assert not shop.endpoint.degraded
        assert shop.calls == ["full"]

    async def test_a_rung_that_fails_is_left_for_the_next_and_the_answer_says_so(self) -> None:
        shop, call = Shop(), a_call()
        shop.acts["full"] = BROKEN

        assert await shop.ask(call) == "small"

        assert degraded(call) == "score=small;reason=DEPENDENCY_FAILED"
        assert shop.endpoint.degraded == {("score", "small", "DEPENDENCY_FAILED"): 1}

    async def test_the_reason_is_why_the_first_rung_did_not_serve(self) -> None:
        shop, call = Shop(), a_call()
        shop.acts |= {"full": TimedOut("no"), "small": BROKEN}

        assert await shop.ask(call) == "rule"

        assert degraded(call) == "score=rule;reason=TIMED_OUT"

    async def test_when_no_rung_serves_the_error_is_that_of_the_last(self) -> None:
        shop, call = Shop(), a_call()
        last = DependencyFailed("the last one")
        shop.acts |= {"full": TimedOut("no"), "small": BROKEN, "rule": last}

        with pytest.raises(DependencyFailed) as caught:
            await shop.ask(call)

        assert caught.value is last
        assert not call.trailing
        assert not shop.endpoint.degraded

    async def test_a_wrong_request_is_not_tried_another_way(self) -> None:
        shop = Shop()
        shop.acts["full"] = InvalidRequest("no")

        with pytest.raises(InvalidRequest):
            await shop.ask()

        assert shop.calls == ["full"]

    async def test_a_caller_who_leaves_is_not_served_another_way(self) -> None:
        shop = Shop()
        shop.acts["full"] = 5.0
        task = asyncio.ensure_future(shop.ask())
        await asyncio.sleep(0.1)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

        assert shop.calls == ["full"]

    async def test_what_is_old_is_degraded_even_on_the_first_rung(self) -> None:
        shop, call = Shop(), a_call()
        shop.acts["full"] = Stale("of before", 0.25)

        assert await shop.ask(call) == "of before"

        assert degraded(call) == "score=full;reason=STALE;age_ms=250"

    async def test_what_is_old_further_down_says_why_and_how_old(self) -> None:
        shop, call = Shop(), a_call()
        shop.acts |= {"full": BROKEN, "small": Stale("of before", 0.25)}

        assert await shop.ask(call) == "of before"

        assert degraded(call) == "score=small;reason=DEPENDENCY_FAILED;age_ms=250"

    async def test_a_bug_is_written_down_once_and_costs_no_answer(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        shop = Shop()
        shop.acts["full"] = ZeroDivisionError("a bug")

        with caplog.at_level(logging.ERROR):
            calls = [a_call() for _ in range(3)]
            assert [await shop.ask(call) for call in calls] == ["small"] * 3

        assert degraded(calls[2]) == "score=small;reason=INTERNAL"
        (record,) = caplog.records
        assert record.getMessage() == f"unforeseen error in {RANK}, stage score, full"
        assert record.exc_info is not None

    async def test_what_is_well_again_serves_again_at_once(self) -> None:
        shop = Shop()
        shop.acts["full"] = BROKEN
        for _ in range(100):
            await shop.ask()
        del shop.acts["full"]

        assert await shop.ask() == "full"


class TestTime:
    async def test_each_rung_is_told_its_budget(self) -> None:
        shop = Shop(guard_ms=1)
        shop.acts |= {"full": BROKEN, "small": BROKEN}

        await shop.ask(a_call(0.5))

        assert shop.until == {
            "full": pytest.approx(0.5 - 0.001 - 0.005 - 0.001),
            "small": pytest.approx(0.5 - 0.001 - 0.001),
            "rule": pytest.approx(0.5 - 0.001),
        }

    async def test_a_slow_rung_leaves_time_for_those_below_it(self) -> None:
        shop = Shop()
        dependency = a_dependency()
        hung = dependency.guards(Scripted(5.0))
        score = shop.endpoint.stage("score", full=hung, small=hung, rule=shop._way("rule"))
        call = a_call(0.1)

        with shop.endpoint.answering(call) as answer:
            assert await score(answer) == "rule"

        assert now() < call.deadline.at
        assert degraded(call) == "score=rule;reason=TIMED_OUT"

    async def test_a_rung_without_time_is_not_begun(self) -> None:
        shop, call = Shop(), a_call(0.015)

        assert await shop.ask(call) == "small"

        assert degraded(call) == "score=small;reason=NO_BUDGET"
        assert shop.calls == ["small"]

    @pytest.mark.parametrize("left_s", [-1.0, 0.0, 0.0005])
    async def test_without_any_time_there_is_no_answer(self, left_s: float) -> None:
        shop = Shop()

        with pytest.raises(NoBudget, match="no time is left for score"):
            await shop.ask(a_call(left_s))

        assert not shop.calls

    async def test_a_call_without_a_deadline_gets_the_default(self) -> None:
        shop = Shop(default_deadline_ms=300)
        call = Call(RANK, arrived=0.0, deadline=NEVER)

        with shop.endpoint.answering(call) as answer:
            assert answer.deadline.at == 0.3
            await shop.stage(answer)

        assert call.deadline is NEVER

    async def test_a_deadline_beyond_the_default_stays(self) -> None:
        shop, call = Shop(default_deadline_ms=300), a_call(5.0)

        with shop.endpoint.answering(call) as answer:
            assert answer.deadline == call.deadline

    async def test_how_long_it_took_is_learnt_from_what_served(self) -> None:
        shop = Shop()
        shop.acts |= {"full": (0.1, BROKEN), "small": 0.05}

        await shop.ask()

        budget = shop.endpoint.budgets.stages["score"]
        assert [each.taken.count for each in budget.rungs] == [0, 1, 0]
        assert budget.taken.count == 1

    async def test_a_rung_that_got_faster_serves_those_in_a_hurry_again(self) -> None:
        shop = Shop()
        shop.acts["full"] = 0.2
        for _ in range(320):
            await shop.ask()
        assert await shop.ask(a_call(0.1)) == "small"

        shop.acts["full"] = 0.01
        for _ in range(1000):
            await shop.ask()

        assert await shop.ask(a_call(0.1)) == "full"


class TestOptional:
    async def test_an_answer_does_without_what_fails(self) -> None:
        shop, call = Shop(TREND), a_call()
        shop.acts["model"] = BROKEN

        assert await shop.ask(call) is None

        assert degraded(call) == "trend=none;reason=DEPENDENCY_FAILED"

    async def test_and_without_what_there_is_no_time_for(self) -> None:
        shop, call = Shop(TREND, SCORE), a_call(0.004)

        with shop.endpoint.answering(call) as answer:
            assert shop.trend is not None
            assert await shop.trend(answer) is None
            assert await shop.stage(answer) == "rule"

        assert degraded(call) == "trend=none;reason=NO_BUDGET,score=rule;reason=NO_BUDGET"

    async def test_nothing_is_said_when_it_serves(self) -> None:
        shop, call = Shop(TREND), a_call()

        assert await shop.ask(call) == "model"
        assert not call.trailing


class TestLoad:
    async def asked(self, per_s: float, stage: Stage, criticality: str = "") -> tuple[str, str]:
        """Return who served, and what was said, after 3 s of so much of what there is room for."""
        shop = Shop(stage, capacity=lambda: 1000.0)
        metadata: dict[str, Any] = {CRITICALITY: criticality} if criticality else {}
        for _ in range(round(3 * per_s)):
            with shop.endpoint.answering(a_call()):
                pass
            await asyncio.sleep(1 / per_s)
        call = a_call(metadata=metadata)
        return str(await shop.ask(call)), degraded(call)

    @pytest.mark.parametrize(
        ("per_s", "served"), [(500, "full"), (1100, "full"), (1300, "small"), (5000, "small")]
    )
    async def test_above_its_load_a_rung_is_left_out(self, per_s: float, served: str) -> None:
        who, said = await self.asked(per_s, SCORE)

        assert who == served
        assert said == ("score=small;reason=OVERLOADED" if served == "small" else "")

    @pytest.mark.parametrize(("per_s", "served"), [(800, "model"), (1000, "None")])
    async def test_what_is_optional_goes_first(self, per_s: float, served: str) -> None:
        assert (await self.asked(per_s, TREND))[0] == served

    @pytest.mark.parametrize(
        ("criticality", "served"),
        [("CRITICAL_PLUS", "full"), ("CRITICAL", "full"), ("sheddable", "small"), ("?", "full")],
    )
    async def test_calls_that_can_be_spared_give_way_first(
        self, criticality: str, served: str
    ) -> None:
        assert (await self.asked(1100, SCORE, criticality))[0] == served

    async def test_the_last_rung_serves_whatever_the_load_is(self) -> None:
        only = Stage(name="score", ladder=(Rung(name="full", up_to_load=0.5),))

        assert await self.asked(5000, only) == ("full", "")

    @pytest.mark.parametrize("capacity", [None, lambda: 0.0])
    async def test_where_capacity_is_not_known_load_changes_nothing(
        self, capacity: Capacity | None
    ) -> None:
        shop = Shop(capacity=capacity)

        for _ in range(100):
            assert await shop.ask() == "full"

        assert shop.endpoint.load() == 0.0

    async def test_a_call_on_its_own_is_never_too_much(self) -> None:
        shop = Shop(capacity=lambda: 0.1)

        assert await shop.ask() == "full"

    async def test_when_load_falls_the_full_answer_returns(self) -> None:
        shop = Shop(capacity=lambda: 100.0)
        for _ in range(100):
            await shop.ask()
            await asyncio.sleep(0.005)
        assert await shop.ask() == "small"
        assert shop.endpoint.load() > 1.2

        await asyncio.sleep(1.0)

        assert await shop.ask() == "full"


class TestAnswer:
    async def test_stages_are_told_in_the_order_in_which_they_ended(self) -> None:
        shop, call = Shop(TREND, SCORE), a_call()
        shop.acts |= {"model": BROKEN, "full": TimedOut("no")}

        with shop.endpoint.answering(call) as answer:
            assert shop.trend is not None
            await shop.trend(answer)
            await shop.stage(answer)
            assert [each.stage for each in answer.degradations] == ["trend", "score"]

        assert degraded(call) == (
            "trend=none;reason=DEPENDENCY_FAILED,score=small;reason=TIMED_OUT"
        )

    async def test_what_is_not_answered_is_not_degraded(self) -> None:
        shop, call = Shop(TREND), a_call()
        shop.acts["model"] = BROKEN

        async def fails() -> None:
            with shop.endpoint.answering(call) as answer:
                await shop.stage(answer)
                raise BROKEN

        with pytest.raises(DependencyFailed):
            await fails()

        assert not call.trailing
        assert not shop.endpoint.degraded

    @pytest.mark.parametrize("fallback", [True, False])
    async def test_no_answer_leaves_garbage(self, fallback: bool) -> None:
        """What only the garbage collector can free is freed when it wants."""
        shop = Shop()

        async def fail(call: Call, deadline: Deadline) -> str:
            raise DependencyFailed("no")

        rule = shop._way("rule") if fallback else fail
        score = shop.endpoint.stage(
            "score", full=a_dependency().guards(fail), small=fail, rule=rule
        )

        async def once() -> None:
            with contextlib.suppress(DependencyFailed), shop.endpoint.answering(a_call()) as answer:
                await score(answer)

        assert await garbage_left_by(once) == 0


async def test_a_breaker_that_opens_spares_the_time_of_a_hung_rung() -> None:
    shop, dependency = Shop(), a_dependency()
    used_to(dependency, 0.01)
    script = Scripted(5.0)
    small = shop._way("small")
    score = shop.endpoint.stage("score", full=dependency.guards(script), small=small, rule=small)

    async def ask() -> tuple[float, str]:
        began, call = now(), a_call(0.1)
        with shop.endpoint.answering(call) as answer:
            assert await score(answer) == "small"
        return now() - began, degraded(call)

    took_s, said = await ask()
    assert took_s == pytest.approx(0.09, abs=0.005)
    assert said == "score=small;reason=TIMED_OUT"
    for _ in range(20):
        await ask()

    assert await ask() == (0.0, "score=small;reason=BREAKER_OPEN")


def test_stages_are_taken_in_the_order_of_the_cascade() -> None:
    cascade = Cascade(
        stages=(
            Stage(name="second", ladder=(Rung(name="way"),)),
            Stage(name="first", ladder=(Rung(name="way"),)),
        )
    )
    endpoint = Endpoint("/a/B", cascade, clock=lambda: 0.0)

    async def way(call: Call, deadline: Deadline) -> None:
        return None

    with pytest.raises(BadCascade, match="stage first of /a/B must come before stage second"):
        endpoint.stage("first", way=way)


def test_a_busy_event_loop_is_load_too() -> None:
    cascade = Cascade(stages=(Stage(name="only", ladder=(Rung(name="way"),)),))
    endpoint = Endpoint("/a/B", cascade, clock=lambda: 0.0, busy=lambda: 0.95)

    assert endpoint.load() == 0.95
    assert endpoint.answering(Call("/a/B", arrived=0.0)).load == 0.95
