"""A new version of a model gets some calls, does harm, and goes back; in ONNX Runtime itself."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import support.server
from inferd.app import rollouts as rolling
from inferd.app.build import loader
from inferd.app.settings import ConfigError
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import Deadline
from inferd.errors import ModelFailed, Shed
from inferd.inference.assembly import Assembler
from inferd.inference.models import Models
from inferd.inference.rollout import Stage
from inferd.inference.rollouts import Rollouts
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt
from inferd.telemetry.rollouts import RolloutMetrics
from inferd.telemetry.statistics import LoadStatistics

PROBES = Path(__file__).resolve().parents[1] / "repository"
PATIENCE_S = 20.0
#: Nothing goes back for what a busy machine does.
CALM = {"minimum": 30, "latency_slack_ms": 10_000}


class Here:
    """Two versions of `poison`, a model that fails at an index that is too large."""

    def __init__(self, directory: Path, **rollout: Any) -> None:
        said = {"stable": 1, "canary": 2, "guardrail": CALM, **rollout}
        self.config = Config.model_validate(
            {
                "repository": {"paths": [directory / "models"], "settle_s": 0},
                "inference": {"warmup_runs": 1},
                "runtime": {"intra_op_threads": 1},
                "resilience": {"model_breaker": {"mode": "off"}, "outliers": {"enabled": False}},
                "rollouts": {
                    "models": {"m": said},
                    "look_s": 0.01,
                    "decided": directory / "kept" / "rollouts.json",
                },
            }
        )
        made = rolling.made(self.config, time.monotonic)
        assert made is not None
        self.rollouts: Rollouts = made
        self.models = Models(
            self.config.repository,
            loader(self.config),
            Assembler(
                self.config.inference,
                latency_bounds_s=[0.1],
                clock=time.monotonic,
                tracer=None,
                resilience=self.config.resilience,
            ),
            LoadStatistics(),
            parse_text=parse_pbtxt,
            parse_json=parse_json,
            clock=time.monotonic,
            wall_clock=time.time,
            rollouts=made,
        )

    @property
    def stage(self) -> Stage:
        return self.rollouts.rollouts["m"].stage

    def call(self, unit: str) -> Call:
        now = time.monotonic()
        deadline = Deadline.after(PATIENCE_S, now=now)
        return Call("/test", arrived=now, deadline=deadline, metadata={"x-unit": unit})

    def version(self, unit: str) -> str:
        found = self.models.find("m", call=self.call(unit))
        assert found is not None
        return found.version

    async def ask(self, unit: str, value: int = 1) -> float:
        call = self.call(unit)
        inputs = {"INDEX": np.array([[value]], np.int64)}
        answer = await self.models.run("m", inputs, call=call, deadline=call.deadline)
        return float(answer["OUTPUT0"].flat[0])

    def metrics(self) -> str:
        registry = CollectorRegistry()
        registry.register(RolloutMetrics(self.rollouts.rollouts, self.rollouts.copies))
        return generate_latest(registry).decode()

    def reasons(self) -> dict[str, str]:
        return {each.version: each.reason for each in self.models.index()}


def put(directory: Path, version: int, probe: str = "poison") -> None:
    target = directory / "models" / "m"
    target.mkdir(parents=True, exist_ok=True)
    config = (PROBES / probe / "config.pbtxt").read_text()
    (target / "config.pbtxt").write_text(config.replace(f'"{probe}"', '"m"', 1))
    shutil.copytree(PROBES / probe / "1", target / str(version))


@asynccontextmanager
async def running(directory: Path, **rollout: Any) -> AsyncIterator[Here]:
    here = Here(directory, **rollout)
    async with here.models.running():
        await eventually(lambda: here.models.serving)
        yield here


async def eventually(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(support.server.eventually, holds)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    put(tmp_path, 1)
    put(tmp_path, 2)
    return tmp_path


def test_both_versions_are_loaded_and_the_canary_gets_its_share(two: Path) -> None:
    async def life() -> None:
        async with running(two, percent=25) as here:
            units = [f"user-{number}" for number in range(400)]
            got = [here.version(unit) for unit in units]

            assert 60 < got.count("2") < 140
            assert got == [here.version(unit) for unit in units]
            assert here.reasons() == {"1": "", "2": "canary: 25 % of calls"}
            named = here.models.find("m", "2", here.call("user-0"))
            assert named is not None
            assert named.version == "2"

    asyncio.run(life())


def test_a_canary_that_fails_goes_back_by_itself_and_stays_back(
    two: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Twice as many errors: the canary's callers send what it fails at, one in two."""

    async def life() -> None:
        async with running(two, percent=50) as here:
            for number in range(4000):
                unit = f"user-{number}"
                one_in = 2 if here.version(unit) == "2" else 4
                value = 99 if number % one_in == 0 else 1
                with contextlib.suppress(ModelFailed):
                    await here.ask(unit, value)
                if here.stage is not Stage.RUNNING:
                    break
                await asyncio.sleep(0)

            assert here.stage is Stage.ROLLED_BACK
            assert {here.version(f"user-{number}") for number in range(100)} == {"1"}
            assert here.reasons()["2"].startswith("rolled back: errors: ")
            page = here.metrics()
            assert 'inferd_rollout_stage{model="m",stage="ROLLED_BACK",version="2"} 1.0' in page
            assert 'inferd_rollout_percent{model="m"} 0.0' in page
            await eventually(here.config.rollouts.decided.exists)
        async with running(two, percent=50) as again:
            assert again.stage is Stage.ROLLED_BACK
        async with running(two, percent=50, revision=2) as anew:
            assert anew.stage is Stage.RUNNING

    with caplog.at_level(logging.WARNING):
        asyncio.run(life())

    assert "model m, version 2: ROLLED_BACK: errors: " in caplog.text


def test_a_canary_that_is_as_good_stays(two: Path) -> None:
    async def life() -> None:
        async with running(two, percent=50) as here:
            for number in range(600):
                await here.ask(f"user-{number}", number % 4 - 4)

            for _ in range(5):
                await asyncio.sleep(0.01)
            assert here.stage is Stage.RUNNING
            await here.rollouts.decide("m", Stage.RUNNING, "so it was, and so it is")
            for number in range(600):
                await here.ask(f"user-{number}", number % 4 - 4)
            rollout = here.rollouts.rollouts["m"]
            assert rollout.stable.calls + rollout.canary.calls == 600
            assert min(rollout.stable.calls, rollout.canary.calls) > 200

    asyncio.run(life())


def test_copies_say_how_the_canary_differs_and_callers_get_the_stable_version(
    two: Path,
) -> None:
    async def life() -> None:
        async with running(two, shadow={"share": 1.0}) as here:
            for number in range(20):
                assert await here.ask(f"user-{number}") == 20.0
                await eventually(lambda: not here.rollouts.copies["m"].under_way)

            copies = here.rollouts.copies["m"]
            assert copies.outcomes == {"answered": 20}
            assert copies.difference.counts[0] == 20
            assert copies.slower_s.count == 20
            assert here.rollouts.rollouts["m"].stable.calls == 20
            assert 'inferd_shadow_total{model="m",outcome="answered"} 20.0' in here.metrics()

    asyncio.run(life())


def test_copies_of_text_are_compared_as_callers_see_it(tmp_path: Path) -> None:
    for version in (1, 2):
        put(tmp_path, version, "identity_bytes")

    async def life() -> None:
        async with running(tmp_path, shadow={"share": 1.0}) as here:
            call = here.call("user")
            text = {"INPUT0": np.array([["na\u00efve".encode()]], object)}
            await here.models.run("m", text, call=call, deadline=call.deadline)
            copies = here.rollouts.copies["m"]
            await eventually(lambda: not copies.under_way)

            assert copies.outcomes == {"answered": 1}
            assert copies.difference.counts[0] == 1

    asyncio.run(life())


@pytest.mark.parametrize("error", [ModelFailed("no"), Shed("full"), RuntimeError("a bug")])
def test_a_copy_that_fails_is_counted_and_its_caller_has_their_answer(
    two: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def life() -> None:
        async with running(two, shadow={"share": 1.0}) as here:

            async def failing(*_: Any, **__: Any) -> Any:
                raise error

            monkeypatch.setattr(here.models.find("m", "2"), "infer", failing)
            assert await here.ask("user") == 20.0
            copies = here.rollouts.copies["m"]
            await eventually(lambda: not copies.under_way)

            counted = {"ModelFailed": {"failed": 1}, "Shed": {"shed": 1}}
            assert copies.outcomes == counted.get(type(error).__name__, {})
            blamed = isinstance(error, ModelFailed)
            assert here.rollouts.rollouts["m"].canary.failed == blamed
            assert await here.ask("user") == 20.0

    asyncio.run(life())


def test_copies_beyond_those_under_way_are_dropped(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def life() -> None:
        async with running(two, shadow={"share": 1.0, "most": 2}) as here:
            go_on = asyncio.Event()

            async def waiting(*_: Any, **__: Any) -> Any:
                await go_on.wait()
                return {"OUTPUT0": np.array([[20.0]], np.float32)}

            monkeypatch.setattr(here.models.find("m", "2"), "infer", waiting)
            for number in range(5):
                assert await here.ask(f"user-{number}") == 20.0
            copies = here.rollouts.copies["m"]
            assert copies.under_way == 2
            go_on.set()
            await eventually(lambda: not copies.under_way)

            assert copies.outcomes == {"busy": 3, "answered": 2}

    asyncio.run(life())


def test_a_canary_that_takes_other_inputs_gets_nothing(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    other = tmp_path / "models" / "m" / "config.pbtxt"
    other.unlink()
    shutil.rmtree(tmp_path / "models" / "m" / "2")
    shutil.copytree(PROBES / "identity_fp32" / "1", tmp_path / "models" / "m" / "2")

    async def life() -> None:
        async with running(tmp_path, percent=100) as here:
            assert here.version("user") == "1"
            problem = "canary, not used: it takes other inputs than the stable version"
            assert here.reasons()["2"] == problem

    asyncio.run(life())


def test_a_promoted_canary_gets_all_calls_and_keeps_them(two: Path) -> None:
    async def life() -> None:
        async with running(two) as here:
            assert here.version("user") == "1"
            assert await here.rollouts.decide("m", Stage.PROMOTED, "it does well")
            assert here.version("user") == "2"
            assert here.models.find("m") is here.models.find("m", "2")
            assert here.reasons()["2"] == "promoted: it does well"
        async with running(two) as again:
            assert again.version("user") == "2"

    asyncio.run(life())


def test_who_is_set_going_again_begins_anew(two: Path) -> None:
    async def life() -> None:
        async with running(two, percent=100) as here:
            await here.ask("user")
            await here.rollouts.decide("m", Stage.ROLLED_BACK, "a hunch")
            await here.ask("user")
            await here.rollouts.decide("m", Stage.RUNNING, "no")
            await here.ask("user")

            assert here.rollouts.rollouts["m"].canary.calls == 1

    asyncio.run(life())


def test_a_server_does_not_start_where_nobody_knows_what_was_rolled_back(two: Path) -> None:
    (two / "kept").mkdir()
    (two / "kept" / "rollouts.json").write_text("[")

    with pytest.raises(ConfigError, match=r"rollouts\.decided"):
        Here(two)
