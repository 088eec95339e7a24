"""Mistakes that this server's predecessor made, by the numbers of the list they are on.

Each is a rule that holds here for other reasons, too; if one of these tests fails, an old mistake
is back.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inferd.call import Call
from inferd.config import Inference
from inferd.config.resilience import Breaker, Cascade, Rung, Stage
from inferd.deadline import NEVER, Deadline
from inferd.errors import NotFound, NotReady
from inferd.inference.registry import Registry
from inferd.inference.room import NoRoom, Room
from inferd.inference.version import ModelVersion, State
from inferd.oip import grpc_service_pb2 as pb
from inferd.resilience.breaker import State as BreakerState
from inferd.resilience.endpoint import Endpoint
from inferd.services.open_inference.parameters import request_parameters
from support.fake_models import FakeVersion
from support.guards import a_call, a_dependency, now

RANK = "/shop.Ranking/Rank"


class TestDefect2ModelNotFoundOpenedTheBreakerForEverybody:
    async def test_a_model_that_is_not_found_never_counts_at_a_breaker(self) -> None:
        models = Registry({})
        dependency = a_dependency(breaker=Breaker(minimum_calls=1))

        async def infer(call: Call, deadline: Deadline) -> None:
            if models.find("typo", "") is None:
                raise models.missing("typo", "")

        for _ in range(1000):
            with pytest.raises(NotFound):
                await dependency.guards(infer)(a_call(), NEVER)

        assert dependency.breaker.state is BreakerState.CLOSED
        assert dependency.breaker.counts(now()).calls == 0

    async def test_nor_does_a_version_that_is_not_found(self) -> None:
        models = Registry({})
        slot = models.slot(("m", 1))
        version: Any = FakeVersion("m", "1")
        slot.state, slot.version = State.READY, version
        models.publish()
        dependency = a_dependency(breaker=Breaker(minimum_calls=1))

        async def infer(call: Call, deadline: Deadline) -> None:
            raise models.missing("m", "9")

        with pytest.raises(NotFound):
            await dependency.guards(infer)(a_call(), NEVER)

        assert dependency.breaker.state is BreakerState.CLOSED


class TestDefect3TimeoutOfZeroExpiredAtOnce:
    async def test_a_call_without_a_deadline_has_the_default_one(self) -> None:
        cascade = Cascade(
            stages=(Stage(name="score", ladder=(Rung(name="rule"),)),), default_deadline_ms=250
        )
        endpoint = Endpoint(RANK, cascade, clock=now)

        with endpoint.answering(Call(RANK, arrived=now())) as answer:
            assert answer.deadline == Deadline(now() + 0.25)

    @pytest.mark.parametrize("timeout_us", [None, 0])
    def test_a_request_whose_timeout_is_zero_or_absent_has_none_of_its_own(
        self, timeout_us: int | None
    ) -> None:
        request = pb.ModelInferRequest()
        if timeout_us is not None:
            request.parameters["timeout"].int64_param = timeout_us

        assert request_parameters(request.parameters).timeout_s is None

    @pytest.mark.parametrize("default_ms", [0, -1])
    def test_and_the_default_is_never_zero(self, default_ms: float) -> None:
        stages = (Stage(name="score", ladder=(Rung(name="rule"),)),)

        with pytest.raises(ValidationError, match="default_deadline_ms"):
            Cascade(stages=stages, default_deadline_ms=default_ms)
        with pytest.raises(ValidationError, match="default_deadline_ms"):
            Inference(default_deadline_ms=default_ms)


class TestDefect4WarmUpOnTheRequestPath:
    @pytest.mark.parametrize("state", [State.LOADING, State.WARMING])
    def test_a_version_that_warms_up_gets_no_requests_and_its_callers_do_not_wait(
        self, state: State
    ) -> None:
        models = Registry({})
        models.slot(("m", 1)).state = state
        models.publish()

        assert models.find("m", "") is None
        assert models.find("m", "1") is None
        assert isinstance(models.missing("m", "1"), NotReady)

    @pytest.mark.parametrize("state", [State.LOADING, State.WARMING])
    def test_while_the_next_version_warms_up_the_present_one_serves(self, state: State) -> None:
        models = Registry({})
        slot = models.slot(("m", 1))
        version: Any = FakeVersion("m", "1")
        slot.state, slot.version = State.READY, version
        models.slot(("m", 2)).state = state
        models.publish()

        assert models.find("m", "") is version


def loaded(number: int, size: int, last_used: float) -> ModelVersion:
    version: Any = FakeVersion(f"m{number}")
    version.statistics.memory_bytes = size
    version.last_used = last_used
    result: ModelVersion = version
    return result


class TestDefect5NobodyOwnedWhatIsLoadedAndNothingWasEverEvicted:
    @given(
        budget=st.integers(1, 1000),
        arrivals=st.lists(
            st.tuples(st.integers(1, 400), st.floats(0, 100), st.booleans()), max_size=30
        ),
    )
    def test_whatever_is_loaded_and_used_the_budget_holds(
        self, budget: int, arrivals: list[tuple[int, float, bool]]
    ) -> None:
        room, here = Room(budget, frozenset()), list[ModelVersion]()

        for number, (size, last_used, gives_up) in enumerate(arrivals):
            key = (f"m{number}", 1)
            if size > budget:
                continue
            try:
                gone = room.victims(key[0], size, room.lacking(size, here), here)
            except NoRoom:
                pytest.fail("everybody may be evicted, so there is room")
            stayed = [each for each in here if each not in gone]
            assert all(left.last_used <= kept.last_used for left in gone for kept in stayed)
            here = stayed
            room.reserve(key, size)
            assert room.lacking(0, here) <= 0
            if not gives_up:
                here.append(loaded(number, size, last_used))
            room.release(key)

            assert sum(each.statistics.memory_bytes for each in here) <= budget
