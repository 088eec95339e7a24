"""Models come and go in a running process: real files, real sessions, real time.

Nothing here sleeps until something has surely happened: every wait is for an event, and
ends when the models say so.
"""

import asyncio
import gc
import json
import logging
import os
import shutil
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inferd.app.build import loader
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import Deadline
from inferd.errors import (
    Draining,
    InvalidRequest,
    LoadFailed,
    NotFound,
    NotReady,
    Unavailable,
)
from inferd.inference.assembly import Assembler
from inferd.inference.models import Models
from inferd.inference.threads import LoadThreads
from inferd.inference.version import ModelVersion
from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.session import Session
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt
from inferd.telemetry.statistics import LoadStatistics
from support.garbage import without_collector

PROBES = Path(__file__).resolve().parents[1] / "repository"
#: Everything that a test waits for comes far sooner; what hangs should fail.
PATIENCE_S = 20.0
POLL_S = 0.01
#: Long enough for a test to write two files one after the other.
SETTLE_S = 0.03


@dataclass(frozen=True)
class Running:
    """The models of a server that has no sockets."""

    models: Models
    loads: LoadStatistics

    async def ask(
        self, name: str, version: str = "", *, rows: int = 1, value: float = 1.0
    ) -> NDArray[Any]:
        """Call a model with one FP32 input, as a service does, and return what it says."""
        found = self.models.find(name, version) or await self.models.get(name, version)
        return await run(found, rows=rows, value=value)

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

    def number(self, name: str, version: str = "") -> int:
        found = self.models.find(name, version)
        return found.number if found else 0

    def states(self) -> dict[str, str]:
        return {f"{each.name}/{each.version}": str(each.state) for each in self.models.index()}

    def reason(self, name: str, version: str) -> str:
        return next(
            each.reason
            for each in self.models.index()
            if (each.name, each.version) == (name, version)
        )


async def run(version: ModelVersion, *, rows: int = 1, value: float = 1.0) -> NDArray[Any]:
    tensor = version.signature.inputs[0]
    dims = [1 if dim < 0 else dim for dim in tensor.shape[1:]]
    now = time.monotonic()
    answer = await version.infer(
        {tensor.name: np.full((rows, *dims), value, tensor.datatype.numpy)},
        rows=rows,
        outputs=(),
        call=Call("/test", arrived=now, deadline=Deadline.after(PATIENCE_S, now=now)),
    )
    return next(iter(answer.values()))


def models_of(config: Config, loads: LoadStatistics) -> Models:
    return Models(
        config.repository,
        loader(config),
        Assembler(config.inference, latency_bounds_s=[0.1], clock=time.monotonic, tracer=None),
        loads,
        parse_text=parse_pbtxt,
        parse_json=parse_json,
        clock=time.monotonic,
        wall_clock=time.time,
    )


@asynccontextmanager
async def running(repository: Path, mode: str = "none", **settings: Any) -> AsyncIterator[Running]:
    """Run models until the block ends; it begins when the first round of loading is over."""
    defaults = {"settle_s": SETTLE_S, "poll_s": POLL_S}
    section = {"paths": [repository], "control_mode": mode, **defaults, **settings}
    config = Config.model_validate({"repository": section, "inference": {"warmup_runs": 1}})
    loads = LoadStatistics()
    models = models_of(config, loads)
    async with models.running():
        here = Running(models, loads)
        await here.until(lambda: models.serving)
        yield here


def put(repository: Path, probe: str, name: str = "", *, config: str = "") -> Path:
    """Copy a probe into a repository, under another name if one is given."""
    target = repository / (name or probe)
    shutil.copytree(PROBES / probe, target)
    text = (PROBES / probe / "config.pbtxt").read_text()
    text = text.replace(f'name: "{probe}"', f'name: "{target.name}"')
    (target / "config.pbtxt").write_text(text + config)
    return target


def add_version(model: Path, number: int) -> None:
    shutil.copytree(model / "1", model / str(number))


def move(path: Path, target: Path) -> Path:
    return path.rename(target)


def take_away(path: Path) -> None:
    """Remove a directory at once, not file by file."""
    shutil.rmtree(move(path, path.with_name(f".{path.name}")))


async def logged(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Return when something has been logged."""
    written = asyncio.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                written.set()

    watch = Watch()
    logging.getLogger("inferd").addHandler(watch)
    try:
        async with asyncio.timeout(PATIENCE_S):
            if text not in caplog.text:
                await written.wait()
    finally:
        logging.getLogger("inferd").removeHandler(watch)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="inferd")


class TestControlModes:
    async def test_none_loads_everything_once(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository) as here:
            add_version(put(repository, "simple"), 2)
            with pytest.raises(Unavailable, match="explicit model load / unload is not allowed"):
                await here.models.load("simple")
            with pytest.raises(Unavailable, match="control_mode is none, not explicit"):
                await here.models.unload("identity_fp32")

            assert here.states() == {"identity_fp32/1": "READY"}
            assert (await here.ask("identity_fp32", value=3.0)).tolist() == [[3.0]]

    async def test_explicit_loads_what_is_asked_for(self, repository: Path) -> None:
        for name in ("a", "b", "c"):
            put(repository, "identity_fp32", name)
        async with running(repository, "explicit", load_models=["a"]) as here:
            assert here.states() == {"a/1": "READY", "b/": "UNLOADED", "c/": "UNLOADED"}

            await here.models.load("b")
            await here.models.unload("a")

            assert here.states() == {"a/1": "UNLOADED", "b/1": "READY", "c/": "UNLOADED"}
            assert here.reason("a", "1") == "unloaded by request"
            assert [each.name for each in here.models.index(ready_only=True)] == ["b"]

    async def test_explicit_with_an_asterisk_loads_everything(self, repository: Path) -> None:
        for name in ("a", "b"):
            put(repository, "identity_fp32", name)
        async with running(repository, "explicit", load_models=["*"]) as here:
            assert here.states() == {"a/1": "READY", "b/1": "READY"}

    async def test_a_model_to_load_that_is_not_there_is_told(self, repository: Path) -> None:
        async with running(repository, "explicit", load_models=["typo"]) as here:
            assert here.states() == {"typo/": "FAILED"}
            assert "there is no such model directory" in here.reason("typo", "")
            assert here.loads.failures == {"typo": 1}

    async def test_what_cannot_be_loaded_or_unloaded_says_why(self, repository: Path) -> None:
        put(repository, "identity_fp32", "empty")
        shutil.rmtree(repository / "empty" / "1")
        async with running(repository, "explicit") as here:
            for name, problem in [
                ("nothing", "failed to load 'nothing', failed to poll from model repository"),
                ("../up", "model name must not contain path traversal characters"),
                ("empty", "failed to load 'empty', it has no version directory to serve"),
            ]:
                with pytest.raises(LoadFailed, match=problem):
                    await here.models.load(name)
            with pytest.raises(NotFound, match="unknown model: 'nothing' is not found"):
                await here.models.unload("nothing")

    async def test_loading_a_model_that_has_gone_leaves_it_serving(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "explicit", load_models=["*"]) as here:
            take_away(repository / "identity_fp32")
            with pytest.raises(LoadFailed, match="no such model directory"):
                await here.models.load("identity_fp32")

            assert here.number("identity_fp32") == 1

    async def test_a_repository_that_cannot_be_read_ends_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with running(tmp_path / "missing"):
                pass

        failed, _ = caught.value.split(LoadFailed)
        assert failed is not None
        assert "cannot read model repository" in repr(failed.exceptions)

    async def test_nothing_is_loaded_once_the_server_stops(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "explicit") as here:
            here.models.stop_serving()
            with pytest.raises(Draining):
                await here.models.load("identity_fp32")

            assert not here.models.serving


class TestEveryProbe:
    async def test_all_load_but_the_one_that_should_not(self) -> None:
        names = {path.name for path in PROBES.iterdir()} - {"slow"}
        async with running(PROBES, "explicit", load_models=sorted(names)) as here:
            states = here.states()

            assert states.pop("nan_maker/1") == "FAILED"
            assert states.pop("slow/") == "UNLOADED"
            assert states == {f"{name}/1": "READY" for name in names - {"nan_maker"}}
            assert "'zeros': output 'OUTPUT0' is not finite" in here.reason("nan_maker", "1")

    async def test_an_optional_input_may_be_left_out(self, repository: Path) -> None:
        put(repository, "optional_input")
        async with running(repository) as here:
            assert (await here.ask("optional_input")).tolist() == [[11.0] * 4]


class TestPolling:
    async def test_traffic_moves_to_a_new_version_and_nobody_notices(
        self, repository: Path
    ) -> None:
        model = put(repository, "identity_fp32")
        served: set[int] = set()
        first_call = asyncio.Event()

        async with running(repository, "poll") as here:

            async def call() -> None:
                while served != {1, 2}:
                    version = here.models.find("identity_fp32")
                    assert version is not None, "at some moment, no version served"
                    value = float(len(served))
                    assert (await run(version, value=value)).tolist() == [[value]]
                    served.add(version.number)
                    first_call.set()
                    await asyncio.sleep(0)

            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as callers:
                for _ in range(8):
                    callers.create_task(call())
                await first_call.wait()
                add_version(model, 2)
            await here.until(lambda: here.states()["identity_fp32/1"] == "UNLOADED")

            assert here.number("identity_fp32") == 2
            assert here.models.find("identity_fp32", "1") is None

    async def test_a_changed_configuration_reloads(self, repository: Path) -> None:
        model = put(repository, "identity_fp32")
        async with running(repository, "poll") as here:
            before = here.models.find("identity_fp32")
            config = (model / "config.pbtxt").read_text()
            (model / "config.pbtxt").write_text(config.replace("size: 32", "size: 4"))
            await here.until(lambda: here.models.find("identity_fp32") is not before)

            after = here.models.find("identity_fp32")
            assert before is not None
            assert after is not None
            assert (before.signature.max_batch_size, after.signature.max_batch_size) == (32, 4)
            assert here.states() == {"identity_fp32/1": "READY"}

    async def test_a_version_that_was_taken_away_is_rolled_back_from(
        self, repository: Path
    ) -> None:
        model = put(repository, "identity_fp32")
        add_version(model, 2)
        async with running(repository, "poll") as here:
            assert here.number("identity_fp32") == 2
            take_away(model / "2")
            await here.until(lambda: here.number("identity_fp32") == 1)
            await here.until(lambda: "identity_fp32/2" not in here.states())

    async def test_a_model_that_was_taken_away_is_forgotten(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "poll") as here:
            take_away(repository / "identity_fp32")
            await here.until(lambda: not here.models.index())

            assert not here.models.is_ready("identity_fp32")
            with pytest.raises(NotFound, match="unknown model: 'identity_fp32' is not found"):
                await here.ask("identity_fp32")

    async def test_a_model_that_hangs_keeps_nothing_from_being_loaded(
        self, repository: Path
    ) -> None:
        """Its successor serves, and so do others, while its last call is still running."""
        model = put(repository, "slow", config="# changed")
        text = (model / "config.pbtxt").read_text()
        (model / "config.pbtxt").write_text(text.replace("max_batch_size: 8", "max_batch_size: 2"))
        async with running(repository, "poll") as here:
            old = here.models.find("slow")
            assert old is not None
            hanging = asyncio.Event()
            drain, old.drain = old.drain, hanging.wait  # type: ignore[method-assign, assignment]
            (model / "config.pbtxt").write_text(
                text.replace("max_batch_size: 8", "max_batch_size: 1")
            )
            await here.until(lambda: here.models.find("slow") not in (None, old))
            put(repository, "identity_fp32")
            await here.until(lambda: here.number("identity_fp32"))

            assert old.statistics.state == "DRAINING"
            hanging.set()
            await here.until(lambda: old.statistics.state == "UNLOADED")
            await drain()

    async def test_an_unreadable_repository_changes_nothing(
        self, repository: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "poll") as here:
            elsewhere = move(repository, repository.with_name("elsewhere"))
            await logged("cannot read model repository", caplog)
            put(elsewhere, "simple")

            assert here.number("identity_fp32") == 1
            move(elsewhere, repository)
            await here.until(lambda: here.number("simple"))

            assert here.number("identity_fp32") == 1
            assert caplog.text.count("cannot read model repository") == 1


class TestFailedReloads:
    async def test_the_old_version_serves_on_and_everybody_can_see_why(
        self, repository: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = put(repository, "identity_fp32")
        async with running(repository, "poll") as here:
            old = here.models.find("identity_fp32")
            (model / "1" / "model.onnx").write_bytes(b"not a graph")
            await here.until(lambda: here.loads.failures)

            assert here.models.find("identity_fp32") is old
            assert here.states() == {"identity_fp32/1": "READY"}
            reason = here.reason("identity_fp32", "1")
            assert reason.startswith("reload failed: model.onnx")
            assert here.loads.reasons["identity_fp32"] in reason
            assert "identity_fp32/1 failed to load: model.onnx" in caplog.text
            assert (await here.ask("identity_fp32", value=2.0)).tolist() == [[2.0]]

            await asyncio.sleep(5 * POLL_S)  # several looks at the same broken file
            assert here.loads.failures == {"identity_fp32": 1}

            shutil.copy(PROBES / "identity_fp32" / "1" / "model.onnx", model / "1")
            await here.until(lambda: here.models.find("identity_fp32") not in (None, old))
            assert here.reason("identity_fp32", "1") == ""
            assert here.loads.reasons == {}

    async def test_a_broken_new_version_does_not_replace_a_good_one(self, repository: Path) -> None:
        model = put(repository, "identity_fp32")
        async with running(repository, "poll") as here:
            good = (model / "1" / "model.onnx").read_bytes()
            (model / "2").mkdir()
            (model / "2" / "model.onnx").write_bytes(good[: len(good) // 2])
            await here.until(lambda: here.states().get("identity_fp32/2") == "FAILED")

            assert here.number("identity_fp32") == 1
            with pytest.raises(NotReady, match=r"'identity_fp32' version 2 is not at ready state"):
                await here.ask("identity_fp32", "2")

    async def test_a_broken_configuration_leaves_the_model_as_it_is(
        self, repository: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = put(repository, "identity_fp32")
        async with running(repository, "poll") as here:
            (model / "config.pbtxt").write_text("max_batch_size: many")
            await here.until(lambda: here.states().get("identity_fp32/") == "FAILED")

            assert here.number("identity_fp32") == 1
            assert "config.pbtxt:1:17" in here.reason("identity_fp32", "")
            assert "config.pbtxt:1:17" in here.loads.reasons["identity_fp32"]
            assert "model identity_fp32 cannot be used: config.pbtxt:1:17" in caplog.text

            await asyncio.sleep(5 * POLL_S)
            assert here.loads.failures == {"identity_fp32": 1}

    async def test_half_a_copy_is_never_looked_into(self, repository: Path) -> None:
        """A version is loaded when nobody writes to it any more, and then all of it."""
        model = put(repository, "identity_fp32")
        whole = (model / "1" / "model.onnx").read_bytes()
        async with running(repository, "poll", settle_s=0.2) as here:
            (model / "2").mkdir()
            with (model / "2" / "model.onnx").open("wb", buffering=0) as file:
                for at in range(0, len(whole), len(whole) // 10 + 1):
                    file.write(whole[at : at + len(whole) // 10 + 1])
                    await asyncio.sleep(0.02)
                    assert here.number("identity_fp32") == 1
            await here.until(lambda: here.number("identity_fp32") == 2)

            assert here.loads.failures == {}


class TestUnloading:
    async def test_calls_in_flight_are_answered_first(self, repository: Path) -> None:
        config = (PROBES / "slow" / "config.pbtxt").read_text()
        model = put(repository, "slow")
        (model / "config.pbtxt").write_text(config.replace("size: 8", "size: 2"))
        async with running(repository, "explicit", load_models=["*"]) as here:
            calls = [asyncio.create_task(here.ask("slow", value=at)) for at in range(5)]
            await asyncio.sleep(0)
            unload = asyncio.create_task(here.models.unload("slow"))
            await here.until(lambda: here.states()["slow/1"] == "DRAINING")
            with pytest.raises(NotReady, match="'slow' version 1 is not at ready state"):
                await here.ask("slow", "1")
            await unload

            assert all(call.done() for call in calls)
            assert [(await call).item() for call in calls] == [0, 1, 2, 3, 4]
            assert here.states() == {"slow/1": "UNLOADED"}
            with pytest.raises(NotFound, match="unknown model: 'slow' has no available versions"):
                await here.ask("slow")

    async def test_an_order_is_carried_out_though_nobody_waits(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "explicit") as here:
            order = asyncio.create_task(here.models.load("identity_fp32"))
            await here.until(lambda: "LOADING" in here.states().values())
            order.cancel()
            await here.until(lambda: here.number("identity_fp32"))

            assert order.cancelled()

    async def test_what_is_being_loaded_when_everything_ends_is_given_up(
        self, repository: Path
    ) -> None:
        model = put(repository, "slow")
        config = (model / "config.pbtxt").read_text()
        (model / "config.pbtxt").write_text(config.replace("size: 8", "size: 2"))
        async with running(repository, "explicit") as here:
            order = asyncio.create_task(here.models.load("slow"))
            await here.until(lambda: "WARMING" in here.states().values())

        assert here.states() == {"slow/1": "UNLOADED"}
        with pytest.raises(Draining):
            await order

    async def test_what_hangs_at_the_end_is_left_behind(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("inferd.inference.lifecycle.END_S", 0.01)
        put(repository, "identity_fp32")
        async with running(repository) as here:
            version = here.models.find("identity_fp32")
            assert version is not None
            drain = version.drain
            monkeypatch.setattr(version, "drain", asyncio.Event().wait)

        assert "drain identity_fp32/1 is not over; left behind" in caplog.text
        assert version.statistics.state == "UNLOADED"
        await drain()


class TestOverrides:
    async def test_a_configuration_goes_over_the_one_on_disk(self, repository: Path) -> None:
        put(repository, "simple")
        async with running(repository, "explicit") as here:
            await here.models.load("simple", config=json.dumps({"max_batch_size": 3}))
            first = here.models.find("simple")
            await here.models.load("simple")
            second = here.models.find("simple")

            assert first is not None
            assert second is not None
            assert (first.signature.max_batch_size, second.signature.max_batch_size) == (3, 8)

    async def test_files_go_over_the_directory(self, repository: Path) -> None:
        put(repository, "simple")
        graph = (PROBES / "identity_fp32" / "1" / "model.onnx").read_bytes()
        async with running(repository, "explicit", load_models=["*"]) as here:
            await here.models.load("simple", files={"7/model.onnx": graph})
            assert here.number("simple") == 7
            assert (await here.ask("simple", value=5.0)).tolist() == [[5.0]]

            await here.models.load("simple")
            assert here.number("simple") == 1

    async def test_files_alone_make_a_model_and_leave_nothing_behind(
        self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = tmp_path / "kept"
        kept.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(kept))
        graph = (PROBES / "identity_fp32" / "1" / "model.onnx").read_bytes()
        async with running(repository, "explicit") as here:
            await here.models.load("new", files={"1/model.onnx": graph})
            assert (await here.ask("new")).tolist() == [[1.0]]
            assert len(list(kept.iterdir())) == 1

            await here.models.unload("new")
            assert here.models.index() == []
            assert list(kept.iterdir()) == []

            await here.models.load("new", files={"1/model.onnx": graph})
        assert list(kept.iterdir()) == []

    async def test_one_that_fails_leaves_what_was_there(
        self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = tmp_path / "kept"
        kept.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(kept))
        put(repository, "simple")
        graph = (PROBES / "identity_fp32" / "1" / "model.onnx").read_bytes()
        async with running(repository, "explicit") as here:
            await here.models.load("simple", files={"7/model.onnx": graph})
            good = here.models.find("simple")
            for bad in (
                {"files": {"7/model.onnx": b"not a graph"}},
                {"config": "{"},
                {"config": '{"max_batch_size": -1}'},
                {"config": '{"max_batch_size": 4, "input": [{"name": "nope"}]}'},
                {"files": {"model.onnx": graph}},
                {"files": {"../1/model.onnx": graph}},
            ):
                with pytest.raises((LoadFailed, InvalidRequest)):
                    await here.models.load("simple", **bad)
                assert here.models.find("simple") is good
                assert len(list(kept.iterdir())) == 1

    async def test_one_that_half_works_is_taken_back(self, repository: Path) -> None:
        put(repository, "simple")
        graph = (PROBES / "identity_fp32" / "1" / "model.onnx").read_bytes()
        files = {"1/model.onnx": graph, "2/model.onnx": graph, "3/model.onnx": b"not a graph"}
        everything = json.dumps({"version_policy": {"all": {}}})
        async with running(repository, "explicit", load_models=["*"]) as here:
            for name in ("simple", "new"):
                with pytest.raises(LoadFailed, match=f"failed to load '{name}', model.onnx: "):
                    await here.models.load(name, config=everything, files=files)
            await here.until(lambda: here.states().get("new/1") != "DRAINING")

            assert [each.name for each in here.models.index(ready_only=True)] == ["simple"]
            found = here.models.find("simple")
            assert found is not None
            assert [each.name for each in found.signature.inputs] == ["INPUT0", "INPUT1"]


class TestNames:
    async def test_numbers_and_labels_find_a_version(self, repository: Path) -> None:
        model = put(repository, "identity_fp32", config="version_policy { all { } }")
        add_version(model, 2)
        labels = {"identity_fp32": {"stable": 1, "canary": 2, "retired": 3}}
        async with running(repository, version_labels=labels) as here:
            for text, number in [("", 2), ("1", 1), ("2", 2), ("stable", 1), ("canary", 2)]:
                assert here.number("identity_fp32", text) == number
                assert (await here.models.get("identity_fp32", text)).number == number
                assert here.models.is_ready("identity_fp32", text)
            assert [each.labels for each in here.models.statistics("identity_fp32", "stable")] == [
                ("stable",)
            ]

    async def test_unknown_names_are_told_in_tritons_words(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        labels = {"identity_fp32": {"retired": 3}}
        async with running(repository, version_labels=labels) as here:
            for name, version, text in [
                ("nope", "", "Request for unknown model: 'nope' is not found"),
                ("nope", "1", "Request for unknown model: 'nope' is not found"),
                *[
                    (
                        "identity_fp32",
                        version,
                        f"Request for unknown model: 'identity_fp32' version {version} is not"
                        " found",
                    )
                    for version in ("3", "01", "-1", "latest", "retired", "9" * 5000)
                ],
            ]:
                assert here.models.find(name, version) is None
                assert not here.models.is_ready(name, version)
                with pytest.raises(NotFound) as caught:
                    await here.models.get(name, version)
                assert str(caught.value) == text
                with pytest.raises(NotFound):
                    here.models.statistics(name, version)

    @pytest.mark.parametrize(
        ("policy", "numbers"),
        [
            ("", [3]),
            ("version_policy { latest { num_versions: 2 } }", [2, 3]),
            ("version_policy { all { } }", [1, 2, 3]),
            ("version_policy { specific { versions: [1, 3, 9] } }", [1, 3]),
        ],
    )
    async def test_the_version_policy_chooses(
        self, repository: Path, policy: str, numbers: list[int]
    ) -> None:
        model = put(repository, "identity_fp32", config=policy)
        for number in (2, 3):
            add_version(model, number)
        async with running(repository) as here:
            assert [each.number for each in here.models.statistics("identity_fp32")] == numbers


class TestStates:
    async def test_a_version_is_loading_then_warming_then_ready(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "explicit") as here:
            seen: list[tuple[str, bool]] = []

            def look() -> None:
                state = here.states().get("identity_fp32/1", "")
                entry = state, here.models.is_ready("identity_fp32")
                if state and entry not in seen:
                    seen.append(entry)

            unwatch = here.models.watch(look)
            await here.models.load("identity_fp32")
            await here.models.unload("identity_fp32")
            unwatch()

            assert seen == [
                ("LOADING", False),
                ("WARMING", False),
                ("READY", True),
                ("DRAINING", False),
                ("UNLOADED", False),
            ]

    async def test_a_version_that_is_being_reloaded_is_ready(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "explicit", load_models=["*"]) as here:
            reasons: list[str] = []

            def look() -> None:
                assert [str(each.state) for each in here.models.index(ready_only=True)] == ["READY"]
                reasons.append(here.reason("identity_fp32", "1"))

            unwatch = here.models.watch(look)
            await here.models.load("identity_fp32", config='{"max_batch_size": 2}')
            unwatch()

            assert "reloading" in reasons
            assert reasons[-1] == ""

    async def test_one_that_is_being_loaded_is_not_ready_yet(self, repository: Path) -> None:
        put(repository, "identity_fp32")
        async with running(repository, "explicit") as here:
            order = asyncio.create_task(here.models.load("identity_fp32"))
            await here.until(lambda: "LOADING" in here.states().values())
            with pytest.raises(NotReady, match="'identity_fp32' version 1 is not at ready state"):
                await here.models.get("identity_fp32", "1")
            with pytest.raises(NotReady, match="'identity_fp32' has no available versions"):
                await here.models.get("identity_fp32")
            await order


class TestRefusals:
    async def test_a_gpu_that_is_not_there_is_named_with_the_way_out(
        self, repository: Path
    ) -> None:
        put(repository, "simple", "kind", config="instance_group { kind: KIND_GPU }")
        accelerator = 'gpu_execution_accelerator { name: "tensorrt" }'
        optimization = f"optimization {{ execution_accelerators {{ {accelerator} }} }}"
        put(repository, "simple", "accelerated", config=optimization)
        async with running(repository) as here:
            for name in ("kind", "accelerated"):
                reason = here.reason(name, "1")
                assert "the model asks for a GPU" in reason
                assert "install `inferd[gpu]`" in reason
                assert here.states()[f"{name}/1"] == "FAILED"
            assert not (repository / "accelerated" / "tensorrt").exists()

    async def test_nothing_is_followed_out_of_the_repository(
        self, repository: Path, tmp_path: Path
    ) -> None:
        outside = put(tmp_path, "identity_fp32", "outside")
        (repository / "model").symlink_to(outside)
        (put(repository, "identity_fp32", "version") / "2").symlink_to(outside / "1")
        file = put(repository, "identity_fp32", "file") / "1" / "model.onnx"
        file.unlink()
        file.symlink_to(outside / "1" / "model.onnx")
        external = write_external(repository / "external" / "1")
        shutil.move(external, tmp_path / "weights.bin")
        external.symlink_to(tmp_path / "weights.bin")
        async with running(repository) as here:
            states = here.states()

            assert states == dict.fromkeys(
                ["external/1", "file/1", "model/", "version/2"], "FAILED"
            )
            for key in states:
                assert "leads out of the model" in here.reason(*key.split("/"))

    async def test_links_and_external_data_within_the_repository_are_fine(
        self, repository: Path
    ) -> None:
        write_external(repository / ".data" / "1")
        (repository / "external").mkdir()
        (repository / "external" / "1").symlink_to("../.data/1")
        async with running(repository) as here:
            assert (await here.ask("external", value=3.0)).tolist() == [[3.0 * 2.0] * 512]


def write_external(directory: Path) -> Path:
    """Write a model that doubles its input, its weights in a file of their own."""
    directory.mkdir(parents=True)
    weights = numpy_helper.from_array(np.full(512, 2, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 512])],
        [weights],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    path = str(directory / "model.onnx")
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    return directory / "weights.bin"


class TestMemory:
    @pytest.fixture
    def size(self, repository: Path) -> int:
        """Three models that take equally much, and how much that is."""
        for name in ("a", "b", "c"):
            put(repository, "identity_fp32", name)
        return (PROBES / "identity_fp32" / "1" / "model.onnx").stat().st_size

    async def test_what_does_not_fit_at_start_is_loaded_on_demand(
        self, repository: Path, size: int
    ) -> None:
        async with running(repository, max_memory_bytes=2 * size) as here:
            assert here.states() == {"a/1": "READY", "b/1": "READY", "c/1": "UNLOADED"}
            assert here.reason("c", "1").endswith("loads on demand")
            assert here.models.find("c") is None
            assert here.models.is_ready("c")

            assert (await here.ask("a")).tolist() == [[1.0]]  # so b was not used for longest
            assert (await here.ask("c", value=2.0)).tolist() == [[2.0]]

            assert here.states() == {"a/1": "READY", "b/1": "UNLOADED", "c/1": "READY"}
            assert here.reason("b", "1") == "evicted to make room for c; loads on demand"

    async def test_pinned_models_come_first_and_stay(self, repository: Path, size: int) -> None:
        async with running(repository, max_memory_bytes=2 * size, pinned=["c"]) as here:
            for name in ("a", "b", "a", "b"):
                await here.ask(name)
                assert here.states()["c/1"] == "READY"

            assert here.states() == {"a/1": "UNLOADED", "b/1": "READY", "c/1": "READY"}

    async def test_a_pinned_model_gets_its_room_though_it_comes_late(
        self, repository: Path, size: int
    ) -> None:
        take_away(repository / "c")
        await asyncio.sleep(0.1)
        put(repository, "identity_fp32", "c")  # so at first there are only the other two
        async with running(
            repository, settle_s=0.09, max_memory_bytes=2 * size, pinned=["c"]
        ) as here:
            assert here.states()["c/1"] == "READY"
            assert sorted(here.states().values()) == ["READY", "READY", "UNLOADED"]

    async def test_fifty_callers_of_an_evicted_model_wait_for_one_load(
        self, repository: Path, size: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with running(repository, max_memory_bytes=2 * size) as here:
            gone = asyncio.create_task(here.ask("c"))
            answers = await asyncio.gather(*(here.ask("c", value=at) for at in range(49)))
            await gone

            assert [answer.item() for answer in answers] == list(range(49))
            assert caplog.text.count("c/1 is ready") == 1

    async def test_a_caller_who_leaves_takes_nobody_along(
        self, repository: Path, size: int
    ) -> None:
        async with running(repository, max_memory_bytes=2 * size) as here:
            first, second = (asyncio.create_task(here.ask("c")) for _ in range(2))
            await here.until(lambda: here.states()["c/1"] == "LOADING")
            first.cancel()

            assert (await second).tolist() == [[1.0]]
            assert first.cancelled()

    async def test_all_are_answered_though_there_is_room_for_one(
        self, repository: Path, size: int
    ) -> None:
        async with running(repository, max_memory_bytes=size) as here:
            names = ["a", "b", "c"] * 10
            async with asyncio.timeout(PATIENCE_S):
                answers = await asyncio.gather(
                    *(here.ask(name, value=at) for at, name in enumerate(names))
                )

            assert [answer.item() for answer in answers] == list(range(30))
            assert sum(state == "READY" for state in here.states().values()) == 1

    async def test_an_older_version_does_not_stand_in_for_one_that_was_evicted(
        self, repository: Path, size: int
    ) -> None:
        """No version named means the highest, and it is worth waiting for."""
        take_away(repository / "a")
        model = put(repository, "identity_fp32", "a", config="version_policy { all { } }")
        add_version(model, 2)
        async with running(
            repository, "explicit", load_models=["a"], max_memory_bytes=size
        ) as here:
            assert here.states() | {"a/1": "UNLOADED", "a/2": "READY"} == here.states()
            assert (await here.models.get("a", "1")).number == 1

            assert here.models.find("a") is None
            assert here.models.is_ready("a")
            assert (await here.models.get("a")).number == 2
            with pytest.raises(NotFound):
                await here.models.get("a", "3")

    async def test_a_reload_that_does_not_fit_beside_the_old_version_fails(
        self, repository: Path, size: int
    ) -> None:
        async with running(
            repository, "explicit", load_models=["a", "b"], max_memory_bytes=2 * size, pinned=["b"]
        ) as here:
            with pytest.raises(LoadFailed, match=r"'a' needs \d+ bytes, \d+ more than repository"):
                await here.models.load("a", config='{"max_batch_size": 2}')

            assert here.states() == {"a/1": "READY", "b/1": "READY", "c/": "UNLOADED"}

    async def test_an_order_makes_room(self, repository: Path, size: int) -> None:
        async with running(
            repository, "explicit", load_models=["a", "b"], max_memory_bytes=2 * size
        ) as here:
            await here.ask("b")
            await here.models.load("c")
            assert here.states() == {"a/1": "UNLOADED", "b/1": "READY", "c/1": "READY"}

            await here.models.load("a")  # as it is, but evicted
            assert here.number("a") == 1
            await here.models.unload("b")
            assert here.reason("b", "1") == "unloaded by request"
            with pytest.raises(NotFound):
                await here.ask("b")

    async def test_one_that_can_never_fit_has_failed(self, repository: Path, size: int) -> None:
        async with running(repository, max_memory_bytes=size - 1) as here:
            assert set(here.states().values()) == {"FAILED"}
            assert f"max_memory_bytes is {size - 1}" in here.reason("a", "1")

    async def test_one_that_cannot_come_back_has_failed(self, repository: Path, size: int) -> None:
        async with running(repository, max_memory_bytes=2 * size) as here:
            (repository / "c" / "1" / "model.onnx").write_bytes(b"not a graph")
            with pytest.raises(NotFound, match=r"'c' has no available versions: model\.onnx"):
                await here.ask("c")

            assert here.states()["c/1"] == "FAILED"
            assert here.loads.failures == {"c": 1}


class TestWarmUp:
    async def test_recorded_requests_are_run_and_named_when_they_do_not_fit(
        self, repository: Path
    ) -> None:
        warmup = put(repository, "poison") / "warmup"
        warmup.mkdir()
        for name, content, problem in [
            ("good", recording([[0], [3]]), ""),
            ("alien", b"\xff\xff", "warmup/alien.pb: is not a serialised"),
            ("wide", recording([[0, 1]]), "warmup/wide.pb: unexpected shape for input 'INDEX'"),
            ("long", recording([[0]] * 33), ""),
            ("bad", recording([[4]]), "warmup/bad.pb failed:"),
        ]:
            (warmup / f"{name}.pb").write_bytes(content)
            async with running(repository, "explicit", settle_s=0) as here:
                if not problem:
                    await here.models.load("poison")
                    continue
                with pytest.raises(LoadFailed) as caught:
                    await here.models.load("poison")
                assert problem in str(caught.value)
            (warmup / f"{name}.pb").unlink()

    async def test_a_recorded_request_that_was_put_right_is_another_chance(
        self, repository: Path
    ) -> None:
        warmup = put(repository, "poison") / "warmup"
        warmup.mkdir()
        (warmup / "request.pb").write_bytes(recording([[4]]))
        async with running(repository, "poll") as here:
            assert here.states() == {"poison/1": "FAILED"}
            (warmup / "request.pb").write_bytes(recording([[3]]))
            await here.until(lambda: here.number("poison"))

    async def test_strings_are_read_as_text(self, repository: Path) -> None:
        warmup = put(repository, "identity_bytes") / "warmup"
        warmup.mkdir()
        request = pb.ModelInferRequest()
        tensor = request.inputs.add(name="INPUT0", datatype="BYTES", shape=[1, 2])
        tensor.contents.bytes_contents.extend([b"zw\xc3\xb6lf", b""])
        (warmup / "request.pb").write_bytes(request.SerializeToString())
        async with running(repository, "explicit", settle_s=0) as here:
            await here.models.load("identity_bytes")
            tensor.contents.bytes_contents[0] = b"\xff"
            (warmup / "request.pb").write_bytes(request.SerializeToString())
            with pytest.raises(LoadFailed, match=r"request\.pb: input 'INPUT0' is not valid UTF-8"):
                await here.models.load("identity_bytes")

    async def test_data_of_a_declared_warm_up_is_no_recorded_request(
        self, repository: Path
    ) -> None:
        data = 'input_data_file: "raw.pb" data_type: TYPE_INT64 dims: 1'
        inputs = f'inputs {{ key: "INDEX" value {{ {data} }} }}'
        model = put(repository, "poison", config=f"model_warmup {{ batch_size: 2 {inputs} }}")
        (model / "warmup").mkdir()
        (model / "warmup" / "raw.pb").write_bytes(np.array([0, 3], "<i8").tobytes())
        async with running(repository, "explicit", settle_s=0) as here:
            await here.models.load("poison")
            (model / "warmup" / "raw.pb").write_bytes(b"short")
            with pytest.raises(LoadFailed, match=r"raw\.pb: 5 bytes are not INT64 \[2, 1\]"):
                await here.models.load("poison")

    async def test_a_declared_batch_that_is_too_large_is_named(self, repository: Path) -> None:
        value = "{ zero_data: true data_type: TYPE_INT64 dims: 1 }"
        inputs = f'inputs {{ key: "INDEX" value {value} }}'
        put(repository, "poison", config=f"model_warmup {{ batch_size: 17 {inputs} }}")
        async with running(repository) as here:
            reason = here.reason("poison", "")
            assert "model_warmup[0].batch_size: must be at most 16, got 17" in reason

    async def test_made_up_data_that_mean_nothing_are_mentioned_once(
        self, repository: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = put(repository, "nan_maker")
        config = (model / "config.pbtxt").read_text()
        (model / "config.pbtxt").write_text(config[: config.index("model_warmup")])
        graph = onnx.load(str(model / "1" / "model.onnx"))
        graph.graph.node[0].CopyFrom(helper.make_node("Log", ["INPUT0"], ["OUTPUT0"]))
        onnx.save(graph, str(model / "1" / "model.onnx"))
        async with running(repository) as here:
            assert here.states() == {"nan_maker/1": "READY"}
            assert caplog.text.count("is not finite; the inputs were made up") == 1


def recording(rows: list[list[int]]) -> bytes:
    """Return a request to `poison`, as it travels."""
    indices = np.array(rows, "<i8")
    request = pb.ModelInferRequest(model_name="whatever", raw_input_contents=[indices.tobytes()])
    request.inputs.add(name="INDEX", datatype="INT64", shape=indices.shape)
    return request.SerializeToString()


async def load_threads_ended() -> None:
    """Wait for threads that have nothing more to do than to end."""
    for thread in threading.enumerate():
        if thread.name.startswith("load "):
            await asyncio.to_thread(thread.join, PATIENCE_S)


def sessions() -> list[Session]:
    return [each for each in gc.get_objects() if isinstance(each, Session)]


class TestNothingIsLeftBehind:
    async def test_loading_and_unloading_two_hundred_times(self, repository: Path) -> None:
        put(repository, "simple")
        bad = put(repository, "identity_fp32", "bad") / "1" / "model.onnx"
        bad.write_bytes(b"not a graph")

        async def cycle(times: int) -> tuple[int, int]:
            for _ in range(times):
                await here.models.load("simple")
                await here.models.unload("simple")
            with pytest.raises(LoadFailed):
                await here.models.load("bad")
            await load_threads_ended()
            return threading.active_count(), len(os.listdir("/proc/self/fd"))

        # Its threads come one by one and stay, which says nothing about ours.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with running(repository, "explicit", settle_s=0) as here:
            before = await cycle(20)
            after = await cycle(200)

            # Fewer, if what earlier tests have left behind went meanwhile.
            assert (after[0] <= before[0], after[1] <= before[1]) == (True, True), (before, after)

    async def test_an_unloaded_version_is_freed_at_once(self, repository: Path) -> None:
        put(repository, "simple")
        with without_collector():
            async with running(repository, "explicit", load_models=["*"]) as here:
                version = weakref.ref(here.models.find("simple"))
                assert version() is not None
                await here.models.unload("simple")

                assert version() is None

    async def test_the_sessions_of_a_failed_load_are_freed_at_once(self, repository: Path) -> None:
        put(repository, "nan_maker")
        with without_collector():
            others = sessions()  # and they stay, for this holds them
            async with running(repository, "explicit", settle_s=0) as here:
                with pytest.raises(LoadFailed, match="is not finite"):
                    await here.models.load("nan_maker")
                await load_threads_ended()
                assert len(sessions()) == len(others)

    async def test_what_a_failed_load_had_is_freed_at_once(self) -> None:
        class Large:
            pass

        kept: list[weakref.ref[Large]] = []

        def load() -> None:
            large = Large()
            kept.append(weakref.ref(large))
            raise LoadFailed("no")

        threads = LoadThreads(1)
        with without_collector():
            with pytest.raises(LoadFailed, match="no"):
                await threads.run("load", load)
            await threads.ended(PATIENCE_S)
            assert kept[0]() is None


async def test_as_many_loads_run_at_once_as_may(repository: Path) -> None:
    together = threading.Barrier(2, timeout=PATIENCE_S)
    threads = LoadThreads(2)

    await asyncio.gather(*(threads.run(f"{at}", together.wait) for at in range(2)))
    await threads.ended(PATIENCE_S)

    assert together.n_waiting == 0


async def test_a_load_that_hangs_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    hanging = threading.Event()
    threads = LoadThreads(1)
    load = asyncio.create_task(threads.run("load m/1", hanging.wait))
    await asyncio.sleep(0.01)
    load.cancel()

    await threads.ended(0.01)

    assert "load m/1 is still running; left behind" in caplog.text
    hanging.set()
