"""Instances that hang or answer nonsense, in ONNX Runtime itself: they go, and come back well.

Nothing here sleeps until something has surely happened: every wait ends when the models, or the
faults, say so.
"""

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import support.server
from inferd.app.build import loader
from inferd.call import Call
from inferd.config import Config
from inferd.config.faults import Corrupt, Error, Fault, Hang, Latency
from inferd.deadline import Deadline
from inferd.errors import ModelFailed, NotReady
from inferd.inference.assembly import Assembler
from inferd.inference.models import Models
from inferd.inference.version import ModelVersion
from inferd.resilience.faults.points import FaultPoints
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt
from inferd.telemetry.statistics import LoadStatistics

PROBES = Path(__file__).resolve().parents[1] / "repository"
#: Everything that a test waits for comes far sooner; what hangs should fail.
PATIENCE_S = 20.0
#: Short, but longer than a run of these models on a busy machine.
OUTLIERS = {"consecutive_failures": 3, "hung_min_ms": 250, "rebuild_s": 0.01, "rebuild_max_s": 0.05}


async def eventually(holds: Callable[[], bool]) -> None:
    """Return when something holds that nobody tells us of."""
    await asyncio.to_thread(support.server.eventually, holds)


class Here:
    """The models of a server, which can be broken."""

    def __init__(self, repository: Path, **settings: Any) -> None:
        config = Config.model_validate(
            {
                "repository": {"paths": [repository], "settle_s": 0.03, **settings},
                "inference": {"warmup_runs": 1},
                "runtime": {"intra_op_threads": 1},
                "resilience": {"outliers": OUTLIERS, "model_breaker": {"mode": "off"}},
                "faults": {"enabled": True},
            }
        )
        self.faults = FaultPoints(config.faults, time.monotonic)
        self.models = Models(
            config.repository,
            loader(config),
            Assembler(
                config.inference,
                latency_bounds_s=[0.1],
                clock=time.monotonic,
                tracer=None,
                resilience=config.resilience,
                points=self.faults,
            ),
            LoadStatistics(),
            parse_text=parse_pbtxt,
            parse_json=parse_json,
            clock=time.monotonic,
            wall_clock=time.time,
        )

    @property
    def version(self) -> ModelVersion:
        found = self.models.find("m")
        assert found is not None
        return found

    async def until(self, happened: Callable[[], object]) -> None:
        """Return when something has happened that the models announce."""
        changed = asyncio.Event()
        unwatch = self.models.watch(changed.set)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not happened():
                    await changed.wait()
                    changed.clear()
        finally:
            unwatch()

    async def ask(self, value: Any = 1.0) -> NDArray[Any]:
        tensor = self.version.signature.inputs[0]
        dims = [abs(size) for size in tensor.shape[1:]]
        inputs = {tensor.name: np.full((1, *dims), value, tensor.datatype.numpy)}
        now = time.monotonic()
        deadline = Deadline.after(PATIENCE_S, now=now)
        call = Call("/test", arrived=now, deadline=deadline)
        answer = await self.models.run("m", inputs, call=call, deadline=deadline)
        return next(iter(answer.values()))

    async def fail(self, times: int = 3) -> None:
        for _ in range(times):
            with pytest.raises(ModelFailed):
                await self.ask()

    def states(self) -> list[tuple[str, str]]:
        return [(str(each.state), each.reason) for each in self.models.index()]

    @asynccontextmanager
    async def broken(self, place: str, fault: Fault) -> AsyncIterator[None]:
        number = self.faults.inject(place, fault)
        try:
            yield
        finally:
            self.faults.clear(number)


@asynccontextmanager
async def running(repository: Path, **settings: Any) -> AsyncIterator[Here]:
    here = Here(repository, **settings)
    async with here.models.running():
        await here.until(lambda: here.models.serving)
        yield here


def put(repository: Path, probe: str, config: str = "") -> Path:
    target = repository / "m"
    shutil.copytree(PROBES / probe, target)
    text = (PROBES / probe / "config.pbtxt").read_text().replace(f'"{probe}"', '"m"', 1)
    (target / "config.pbtxt").write_text(text + config)
    return target


TWO = "instance_group { count: 2 kind: KIND_CPU }\n"
FINITE = 'parameters { key: "inferd.finite_outputs" value { string_value: "true" } }\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="inferd")


async def test_a_model_that_hangs_is_not_ready_until_it_has_been_rebuilt(repository: Path) -> None:
    put(repository, "identity_fp32")
    async with running(repository) as here:
        async with here.broken("model.m", Hang()):
            with pytest.raises(ModelFailed, match="was given up"):
                await here.ask()
            assert not here.models.is_ready("m")
            with pytest.raises(NotReady, match="'m' version 1 has no instance in service"):
                await here.ask()
            assert here.states() == [("LOADING", "1 of 1 instances are out of service: a run hung")]

        await here.until(lambda: here.models.is_ready("m"))

        assert (await here.ask(3.0)).tolist() == [[3.0]]
        assert here.states() == [("READY", "")]
        statistics = here.version.statistics
        assert (statistics.ejections, statistics.rebuilds, statistics.instances) == (1, 1, 1)


async def test_the_other_instance_serves_while_one_hangs(repository: Path) -> None:
    put(repository, "identity_fp32", TWO)
    async with running(repository) as here, here.broken("model.m#1", Hang()):
        results = await asyncio.gather(*(here.ask() for _ in range(4)), return_exceptions=True)
        assert any(isinstance(each, ModelFailed) for each in results), "one batch, on the last"

        answers = [await here.ask(float(at)) for at in range(50)]

        assert [each.item() for each in answers] == [float(at) for at in range(50)]
        assert here.models.is_ready("m")
        assert [each.in_service for each in here.version.instances.listing()] == [True, False]
        assert here.version.capacity_rows_s > 0


async def test_an_instance_that_answers_nonsense_goes_and_stays_out_while_it_does(
    repository: Path,
) -> None:
    put(repository, "identity_fp32", FINITE)
    async with running(repository) as here:
        async with here.broken("model.m#0", Corrupt()):
            await here.fail()
            await here.until(lambda: not here.models.is_ready("m"))
            (fault,) = here.faults.listing()
            struck = fault.struck
            await eventually(lambda: here.faults.listing()[0].struck >= struck + 3)
            assert not here.models.is_ready("m")
            assert "not finite" in here.states()[0][1]

        await here.until(lambda: here.models.is_ready("m"))

        assert (await here.ask(3.0)).tolist() == [[3.0]]
        assert here.version.statistics.rebuilds == 1


async def test_nan_is_passed_on_where_nobody_said_that_outputs_must_be_finite(
    repository: Path,
) -> None:
    put(repository, "identity_fp32")
    async with running(repository) as here, here.broken("model.m", Corrupt()):
        answers = [await here.ask() for _ in range(5)]

        assert all(np.isnan(each).all() for each in answers)
        assert here.version.statistics.ejections == 0


async def test_a_slow_model_and_one_version_of_it_can_be_broken(repository: Path) -> None:
    model = put(repository, "identity_fp32", "version_policy { all { } }\n")
    shutil.copytree(model / "1", model / "2")
    async with running(repository) as here, here.broken("model.m/2", Error()):
        with pytest.raises(ModelFailed, match=r"broken on purpose, at model\.m/2#0"):
            await here.ask()
        previous = here.models.previous("m")
        assert previous is not None
        assert previous.number == 1

        async with here.broken("model.m", Latency(ms=30)):
            began = time.monotonic()
            call = Call("/test", arrived=began)
            await here.models.run(
                "m",
                {"INPUT0": np.ones((1, 1), np.float32)},
                call=call,
                deadline=Deadline.after(PATIENCE_S, now=began),
                version="1",
            )
            assert time.monotonic() - began >= 0.03


async def test_poison_does_not_cost_the_model_its_instance(repository: Path) -> None:
    put(repository, "poison")
    async with running(repository) as here:
        for _ in range(10):
            with pytest.raises(ModelFailed):
                await here.ask(9)

        assert (await here.ask(2)).tolist() == [[30.0]]
        assert here.version.statistics.ejections == 0


async def test_files_that_have_changed_since_are_not_served_under_the_same_version(
    repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = put(repository, "identity_fp32")
    async with running(repository) as here:
        os.utime(model / "1" / "model.onnx", ns=(1, 1))
        async with here.broken("model.m", Hang()):
            with pytest.raises(ModelFailed):
                await here.ask()
        why = "its files have changed since it was loaded; reload the model"
        await eventually(lambda: why in here.states()[0][1])

        assert caplog.text.count(f"m/1#0 cannot be rebuilt: {why}") == 1
        assert not here.models.is_ready("m")


async def test_without_room_an_instance_is_not_rebuilt(repository: Path) -> None:
    model = put(repository, "identity_fp32", TWO)
    size = (model / "1" / "model.onnx").stat().st_size
    async with running(repository, max_memory_bytes=size + 10) as here:
        assert here.version.statistics.memory_bytes == size, "both share one session"
        async with here.broken("model.m#1", Hang()):
            await asyncio.gather(*(here.ask() for _ in range(4)), return_exceptions=True)
        await eventually(lambda: "no room to rebuild" in here.states()[0][1])

        assert here.states()[0][0] == "READY"


async def test_unloading_a_model_that_is_being_rebuilt_leaves_nothing_behind(
    repository: Path,
) -> None:
    put(repository, "identity_fp32", TWO)
    async with running(repository, control_mode="explicit", load_models=["*"]) as here:
        async with here.broken("model.m#1", Hang()):
            await asyncio.gather(*(here.ask() for _ in range(4)), return_exceptions=True)
            await here.models.unload("m")

        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if name.startswith("instance ")]
        await eventually(
            lambda: not [each for each in threading.enumerate() if each.name.startswith("m/1#")]
        )


async def test_the_numbers_of_a_model_that_may_not_say_nan_are_checked_at_load(
    repository: Path,
) -> None:
    put(repository, "nan_maker", FINITE)
    async with running(repository) as here:
        (state,) = here.states()

        assert state[0] == "FAILED"
        assert "is not finite" in state[1]
