"""Everything of the protocol but inference: what is there, what it counted, what can be changed."""

import json
from typing import Any

import pytest

import inferd
from inferd.call import Call
from inferd.config import Config
from inferd.errors import InvalidRequest, NotFound, Unimplemented
from inferd.inference.version import State
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.open_inference import OpenInference
from inferd.services.open_inference.settings import ApplyLog
from inferd.services.routes import bind
from support.fake_models import Entry, FakeModels, FakeVersion, tensor

CALL = Call("/", arrived=0.0)


def serving(
    models: FakeModels | None = None, *, apply_log: ApplyLog | None = None, **config: Any
) -> OpenInference:
    some: Any = models or FakeModels(FakeVersion())
    return OpenInference(some, Config(**config), clock=lambda: 0.0, apply_log=apply_log)


def test_every_rpc_of_the_service_has_its_method() -> None:
    descriptor = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]

    assert len(bind(descriptor, serving())) == 20


async def test_live_and_ready() -> None:
    models = FakeModels(FakeVersion())
    service = serving(models)

    async def ready(name: str, version: str = "") -> bool:
        request = pb.ModelReadyRequest(name=name, version=version)
        return (await service.model_ready(request, CALL)).ready

    assert (await service.server_live(pb.ServerLiveRequest(), CALL)).live
    assert (await service.server_ready(pb.ServerReadyRequest(), CALL)).ready
    assert [await ready("m"), await ready("m", "1")] == [True, True]
    assert [await ready("q"), await ready("m", "2")] == [False, False]
    models.serving = False
    assert not (await service.server_ready(pb.ServerReadyRequest(), CALL)).ready


async def test_extensions_are_those_that_work() -> None:
    async def extensions(**options: Any) -> set[str]:
        service = serving(**options)
        metadata = await service.server_metadata(pb.ServerMetadataRequest(), CALL)
        assert (metadata.name, metadata.version) == ("inferd", inferd.__version__)
        return set(metadata.extensions)

    plain = {
        "classification",
        "model_repository",
        "schedule_policy",
        "model_configuration",
        "binary_tensor_data",
        "statistics",
    }
    assert await extensions() == plain
    assert await extensions(shared_memory={"system": True}) == plain | {"system_shared_memory"}
    assert await extensions(apply_log=lambda _level, _format: None) == plain | {"logging"}


async def test_model_metadata() -> None:
    labelled = tensor("y", "FP32", -1, 2, labels=("no", "yes, it is"))
    version = FakeVersion(version="2", outputs=[labelled])
    version.labels = ("stable", "canary")
    models = FakeModels(FakeVersion(version="1"), version, FakeVersion("other"))

    metadata = await serving(models).model_metadata(pb.ModelMetadataRequest(name="m"), CALL)

    assert metadata == pb.ModelMetadataResponse(
        name="m",
        versions=["1", "2"],
        platform="onnxruntime_onnx",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        outputs=[{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
        properties={
            "version": "2",
            "state": "READY",
            "max_batch_size": "4",
            "version_labels": "stable,canary",
            "labels.y": json.dumps(["no", "yes, it is"]),
        },
    )


async def test_what_is_not_there_has_no_metadata_and_no_configuration() -> None:
    service = serving()

    with pytest.raises(NotFound, match="Request for unknown model: 'q' is not found"):
        await service.model_metadata(pb.ModelMetadataRequest(name="q"), CALL)
    with pytest.raises(NotFound, match="Request for unknown model: 'q' is not found"):
        await service.model_config(pb.ModelConfigRequest(name="q"), CALL)


async def test_model_config_is_that_of_the_version() -> None:
    models = FakeModels(FakeVersion(parameters={"max_queue": "7"}))

    response = await serving(models).model_config(pb.ModelConfigRequest(name="m"), CALL)

    assert response.config.name == "m"
    assert response.config.parameters["inferd.max_queue"].string_value == "7"


async def test_statistics_are_the_versions_own_in_nanoseconds() -> None:
    version = FakeVersion()
    counts = version.statistics
    for size in (1, 2):
        counts.batch_done(
            size=size, rows=size, reason="FULL", input_s=0.001, infer_s=0.002, output_s=0.003
        )
        for _ in range(size):
            counts.answered(
                queue_s=0.01, batch_wait_s=0, compute_s=0.006, total_s=0.02, slack_s=1, rows=1
            )
    counts.failed("OTHER", 0.5)
    counts.dropped("CANCELLED", 0.25)
    counts.memory_bytes = 4096

    service = serving(FakeModels(version))
    response = await service.model_statistics(pb.ModelStatisticsRequest(name="m"), CALL)

    [found] = response.model_stats
    stats = found.inference_stats
    assert (found.name, found.version) == ("m", "1")
    assert (found.inference_count, found.execution_count) == (3, 2)
    assert found.last_inference == counts.last_inference_ms > 0
    assert (stats.success.count, stats.success.ns) == (3, 60_000_000)
    assert (stats.fail.count, stats.fail.ns) == (2, 750_000_000)
    assert (stats.queue.count, stats.queue.ns) == (3, 30_000_000)
    assert (stats.compute_input.count, stats.compute_input.ns) == (3, 3_000_000)
    assert (stats.compute_infer.count, stats.compute_infer.ns) == (3, 6_000_000)
    assert (stats.compute_output.count, stats.compute_output.ns) == (3, 9_000_000)
    assert [each.batch_size for each in found.batch_stats] == [1, 2]
    assert [each.compute_infer.count for each in found.batch_stats] == [1, 1]
    assert [each.compute_infer.ns for each in found.batch_stats] == [2_000_000, 2_000_000]
    assert [(each.type, each.byte_size) for each in found.memory_usage] == [("CPU", 4096)]
    assert found.response_stats["0"].cancel.count == 1


async def test_statistics_of_all_models_without_a_name() -> None:
    service = serving(FakeModels(FakeVersion("a"), FakeVersion("b"), FakeVersion("b", "2")))

    async def found(**request: str) -> list[tuple[str, str]]:
        response = await service.model_statistics(pb.ModelStatisticsRequest(**request), CALL)
        return [(each.name, each.version) for each in response.model_stats]

    assert await found() == [("a", "1"), ("b", "1"), ("b", "2")]
    assert await found(name="b", version="2") == [("b", "2")]


async def test_the_index_has_tritons_states() -> None:
    models = FakeModels()
    models.entries = [
        Entry("m", str(number), state, "broken" if state is State.FAILED else "")
        for number, state in enumerate(State, start=1)
    ]
    service = serving(models)

    response = await service.repository_index(pb.RepositoryIndexRequest(), CALL)
    ready = await service.repository_index(pb.RepositoryIndexRequest(ready=True), CALL)

    assert [(each.version, each.state, each.reason) for each in response.models] == [
        ("1", "LOADING", ""),
        ("2", "LOADING", "warming up"),
        ("3", "READY", ""),
        ("4", "UNLOADING", ""),
        ("5", "UNAVAILABLE", "unloaded"),
        ("6", "UNAVAILABLE", "broken"),
    ]
    assert [each.version for each in ready.models] == ["3"]


async def test_one_of_the_repositories_cannot_be_singled_out() -> None:
    text = "'repository_name' specification is not supported"
    service = serving()

    with pytest.raises(Unimplemented, match=text):
        await service.repository_index(pb.RepositoryIndexRequest(repository_name="r"), CALL)
    with pytest.raises(Unimplemented, match=text):
        await service.repository_model_load(
            pb.RepositoryModelLoadRequest(repository_name="r", model_name="m"), CALL
        )


async def test_load_hands_on_configuration_and_files() -> None:
    models = FakeModels()
    request = pb.RepositoryModelLoadRequest(model_name="m")
    request.parameters["config"].string_param = '{"max_batch_size": 8}'
    request.parameters["file:1/model.onnx"].bytes_param = b"onnx"

    response = await serving(models).repository_model_load(request, CALL)

    assert response == pb.RepositoryModelLoadResponse()
    assert models.done == [("load", "m", '{"max_batch_size": 8}', {"1/model.onnx": b"onnx"})]


async def test_load_and_unload_without_parameters() -> None:
    models = FakeModels()
    service = serving(models)
    unload = pb.RepositoryModelUnloadRequest(model_name="m")
    unload.parameters["unload_dependents"].bool_param = True

    await service.repository_model_load(pb.RepositoryModelLoadRequest(model_name="m"), CALL)
    response = await service.repository_model_unload(unload, CALL)

    assert response == pb.RepositoryModelUnloadResponse()
    assert models.done == [("load", "m", None, None), ("unload", "m")]


async def test_kserves_dialect_has_the_name_in_field_one_and_is_answered_in_kind() -> None:
    models = FakeModels()
    service = serving(models)

    loaded = await service.repository_model_load(
        pb.RepositoryModelLoadRequest(repository_name="m"), CALL
    )
    unloaded = await service.repository_model_unload(
        pb.RepositoryModelUnloadRequest(repository_name="m"), CALL
    )

    assert loaded == pb.RepositoryModelLoadResponse(model_name="m", isLoaded=True)
    assert unloaded == pb.RepositoryModelUnloadResponse(model_name="m", isUnloaded=True)
    assert models.done == [("load", "m", None, None), ("unload", "m")]


@pytest.mark.parametrize("name", ["..", ".", "../m", "a/b", "a\\b", "a\0b", "/etc"])
@pytest.mark.parametrize("field", ["model_name", "repository_name"])
async def test_a_name_that_is_a_path_is_refused(name: str, field: str) -> None:
    models = FakeModels()
    service = serving(models)
    text = "model name must not contain path traversal characters"

    load, unload = pb.RepositoryModelLoadRequest(), pb.RepositoryModelUnloadRequest()
    setattr(load, field, name)
    setattr(unload, field, name)

    with pytest.raises(InvalidRequest, match=text) as refused:
        await service.repository_model_load(load, CALL)
    with pytest.raises(InvalidRequest, match=text):
        await service.repository_model_unload(unload, CALL)

    assert refused.value.violations[0].field == field
    assert models.done == []


async def test_a_load_needs_a_name() -> None:
    with pytest.raises(InvalidRequest, match="model name must not be empty"):
        await serving().repository_model_load(pb.RepositoryModelLoadRequest(), CALL)


@pytest.mark.parametrize(
    "path", ["model.onnx", "/1/model.onnx", "1/../../x", "1//x", "1/.", "", "1/a\\b", "1/\0"]
)
async def test_a_file_that_is_not_in_the_model_is_refused(path: str) -> None:
    request = pb.RepositoryModelLoadRequest(model_name="m")
    request.parameters[f"file:{path}"].bytes_param = b""

    with pytest.raises(InvalidRequest, match="must be '<version>/<file>' inside the model's"):
        await serving().repository_model_load(request, CALL)


async def test_parameters_of_load_and_unload_are_known_and_typed() -> None:
    service = serving()
    for name, value in (
        ("config", {"bool_param": True}),
        ("file:1/model.onnx", {"string_param": ""}),
        ("cnofig", {"string_param": "{}"}),
    ):
        request = pb.RepositoryModelLoadRequest(model_name="m")
        request.parameters[name].CopyFrom(pb.ModelRepositoryParameter(**value))
        with pytest.raises(InvalidRequest) as refused:
            await service.repository_model_load(request, CALL)
        assert refused.value.violations[0].field == f"parameters[{name}]"
    unload = pb.RepositoryModelUnloadRequest(model_name="m")
    unload.parameters["config"].string_param = "{}"
    with pytest.raises(InvalidRequest, match="'unload_dependents'"):
        await service.repository_model_unload(unload, CALL)


async def test_shared_memory_is_off_by_default_and_says_how_to_turn_it_on() -> None:
    service = serving()

    with pytest.raises(Unimplemented, match=r"shared_memory\.system"):
        await service.system_shared_memory_register(pb.SystemSharedMemoryRegisterRequest(), CALL)
    with pytest.raises(Unimplemented, match=r"shared_memory\.system"):
        await service.system_shared_memory_status(pb.SystemSharedMemoryStatusRequest(), CALL)
    with pytest.raises(Unimplemented, match=r"shared_memory\.system"):
        await service.system_shared_memory_unregister(
            pb.SystemSharedMemoryUnregisterRequest(), CALL
        )


async def test_shared_memory_that_is_on_has_no_regions_at_first() -> None:
    service = serving(shared_memory={"system": True})

    status = await service.system_shared_memory_status(pb.SystemSharedMemoryStatusRequest(), CALL)
    await service.system_shared_memory_unregister(pb.SystemSharedMemoryUnregisterRequest(), CALL)

    assert not status.regions


async def test_there_is_no_cuda_shared_memory() -> None:
    service = serving()

    with pytest.raises(Unimplemented, match="CUDA shared memory is not supported"):
        await service.cuda_shared_memory_register(pb.CudaSharedMemoryRegisterRequest(), CALL)
    status = await service.cuda_shared_memory_status(pb.CudaSharedMemoryStatusRequest(), CALL)
    assert not status.regions
    await service.cuda_shared_memory_unregister(pb.CudaSharedMemoryUnregisterRequest(), CALL)


async def test_trace_settings_can_be_read_and_not_changed() -> None:
    async def read(**traces: Any) -> dict[str, list[str]]:
        service = serving(telemetry={"traces": traces})
        response = await service.trace_setting(pb.TraceSettingRequest(), CALL)
        return {name: list(each.value) for name, each in response.settings.items()}

    assert (await read())["trace_level"] == ["OFF"]
    on = await read(endpoint="http://127.0.0.1:4317", sample_ratio=0.01)
    assert (on["trace_level"], on["trace_rate"]) == (["TIMESTAMPS"], ["100"])
    assert on["trace_mode"] == ["opentelemetry"]
    change = pb.TraceSettingRequest()
    change.settings["trace_rate"].value.append("1")
    with pytest.raises(Unimplemented, match=r"cannot be changed while serving \('trace_rate'\)"):
        await serving().trace_setting(change, CALL)


class TestLogSettings:
    """Triton's switches over one threshold."""

    @staticmethod
    async def change(service: OpenInference, **settings: bool | int | str) -> dict[str, Any]:
        request = pb.LogSettingsRequest()
        for name, value in settings.items():
            kind = {bool: "bool_param", int: "uint32_param", str: "string_param"}[type(value)]
            setattr(request.settings[name], kind, value)
        response = await service.log_settings(request, CALL)
        return {
            name: getattr(each, str(each.WhichOneof("parameter_choice")))
            for name, each in response.settings.items()
        }

    async def test_they_can_be_read(self) -> None:
        assert await self.change(serving()) == {
            "log_file": "",
            "log_info": True,
            "log_warning": True,
            "log_error": True,
            "log_verbose_level": 0,
            "log_format": "default",
        }

    async def test_without_a_way_to_change_them_they_are_refused_by_name(self) -> None:
        with pytest.raises(Unimplemented, match="'log_info'"):
            await self.change(serving(), log_info=False)

    @pytest.mark.parametrize(
        ("level", "settings", "after"),
        [
            ("info", {"log_verbose_level": 1}, "debug"),
            ("info", {"log_verbose_level": 0}, "info"),
            ("debug", {"log_verbose_level": 0}, "info"),
            ("debug", {"log_info": False}, "warning"),
            ("info", {"log_info": False, "log_warning": False}, "error"),
            ("error", {"log_info": True}, "info"),
            ("error", {"log_error": True}, "error"),
            ("error", {"log_warning": True, "log_info": False}, "warning"),
        ],
    )
    async def test_a_switch_moves_the_threshold(
        self, level: str, settings: dict[str, Any], after: str
    ) -> None:
        applied: list[tuple[str, str]] = []
        service = serving(
            apply_log=lambda *given: applied.append(given), telemetry={"log": {"level": level}}
        )

        told = await self.change(service, **settings)

        assert applied == [(after, "console")]
        assert settings.items() <= told.items()
        assert await self.change(service) == told

    async def test_the_format_can_be_changed(self) -> None:
        applied: list[tuple[str, str]] = []
        service = serving(apply_log=lambda *given: applied.append(given))

        assert (await self.change(service, log_format="json"))["log_format"] == "json"
        assert (await self.change(service, log_format="default"))["log_format"] == "default"

        assert applied == [("info", "json"), ("info", "console")]

    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({"log_error": False}, "log_error"),
            ({"log_warning": False, "log_info": True}, "log_warning"),
            ({"log_verbose_level": 2, "log_info": False}, "log_info"),
            ({"log_info": 1}, "log_info"),
            ({"log_verbose_level": True}, "log_verbose_level"),
            ({"log_format": "ISO8601"}, "log_format"),
            ({"log_format": True}, "log_format"),
            ({"log_file": "/tmp/log"}, "log_file"),
            ({"log_infos": True}, "log_infos"),
        ],
    )
    async def test_what_cannot_be_is_refused_and_changes_nothing(
        self, settings: dict[str, Any], field: str
    ) -> None:
        def unexpected(_level: str, _format: str) -> None:
            pytest.fail("nothing may be applied")

        service = serving(apply_log=unexpected)
        before = await self.change(service)

        with pytest.raises(InvalidRequest) as refused:
            await self.change(service, **settings)

        assert refused.value.violations[0].field == f"settings[{field}]"
        assert await self.change(service) == before
