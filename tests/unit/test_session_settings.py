from pathlib import Path
from typing import Any

import pytest

from inferd.config import Runtime
from inferd.errors import LoadFailed
from inferd.inference.cores import Cores
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.session_settings import AFFINITIES, Placement, on_own_cores, placements
from inferd.runtime.settings import Optimization
from inferd.services.open_inference.model_config_text import parse_pbtxt, to_proto

DIRECTORY = Path("/models/m")


def config(text: str = "") -> ModelConfig:
    return config_from(parse_pbtxt(text), model="m")


def placed(
    text: str = "", *, cores: int = 4, gpus: bool = False, **runtime: Any
) -> list[Placement]:
    return placements(config(text), Runtime(**runtime), cores=cores, gpus=gpus, directory=DIRECTORY)


def parameter(key: str, value: object) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


class TestInstances:
    def test_one_instance_on_the_cpu_has_all_cores(self) -> None:
        (only,) = placed()

        assert (only.device, only.instances, only.settings.intra_op_threads) == ("cpu", 1, 4)
        assert [provider.name for provider in only.settings.providers] == ["CPUExecutionProvider"]

    def test_instances_share_the_cores(self) -> None:
        found = placed("instance_group { count: 2 kind: KIND_CPU }")

        assert [(each.instances, each.settings.intra_op_threads) for each in found] == [(1, 2)] * 2

    @pytest.mark.parametrize("count", [4, 9])
    def test_instances_with_one_thread_share_a_session(self, count: int) -> None:
        (only,) = placed(f"instance_group {{ count: {count} kind: KIND_CPU }}")

        assert (only.instances, only.settings.intra_op_threads) == (count, 1)

    def test_threads_are_the_models_then_the_servers_and_never_more_than_cores(self) -> None:
        def threads(text: str = "", **runtime: Any) -> int:
            return placed(text, **runtime)[0].settings.intra_op_threads

        assert threads(intra_op_threads=3) == 3
        assert threads(parameter("intra_op_thread_count", 2), intra_op_threads=3) == 2
        assert threads(parameter("intra_op_thread_count", 64)) == 4

    def test_a_group_takes_a_gpu_where_it_asks_for_one_or_may_have_one(self) -> None:
        def devices(text: str, *, gpus: bool) -> list[str]:
            return [each.device for each in placed(text, gpus=gpus)]

        assert devices("", gpus=True) == ["gpu:0"]
        assert devices("", gpus=False) == ["cpu"]
        assert devices("instance_group { kind: KIND_CPU }", gpus=True) == ["cpu"]
        assert devices("instance_group { kind: KIND_GPU }", gpus=False) == ["gpu:0"]
        assert devices("instance_group { gpus: [ 1, 3 ] }", gpus=False) == ["gpu:1", "gpu:3"]
        assert devices(
            "instance_group { kind: KIND_GPU } instance_group { kind: KIND_CPU }", gpus=True
        ) == ["gpu:0", "cpu"]

    def test_instances_on_a_gpu_share_its_session(self) -> None:
        text = "instance_group { kind: KIND_GPU count: 3 gpus: [ 0, 1 ] }"

        assert [(each.instances, each.device) for each in placed(text)] == [
            (3, "gpu:0"), (3, "gpu:1"),
        ]  # fmt: skip


class TestOptions:
    @pytest.mark.parametrize(
        ("level", "optimization"),
        [
            (-1, Optimization.BASIC),
            (0, Optimization.ALL),
            (1, Optimization.EXTENDED),
            (2, Optimization.OFF),
        ],
    )
    def test_levels_are_tritons(self, level: int, optimization: Optimization) -> None:
        (only,) = placed(f"optimization {{ graph {{ level: {level} }} }}")

        assert only.settings.optimization is optimization

    def test_memory_is_planned_for_one_order_only(self) -> None:
        (sequential,), (parallel,) = placed(), placed(parameter("execution_mode", 1))

        assert (sequential.settings.parallel, sequential.settings.memory_pattern) == (False, True)
        assert (parallel.settings.parallel, parallel.settings.memory_pattern) == (True, False)

    def test_cuda_has_the_parameters_that_triton_has_for_it(self) -> None:
        text = "instance_group { kind: KIND_GPU gpus: 2 }" + parameter("gpu_mem_limit", 1000)

        cuda, cpu = placed(text)[0].settings.providers

        assert (cuda.name, cpu.name) == ("CUDAExecutionProvider", "CPUExecutionProvider")
        assert dict(cuda.options) == {"gpu_mem_limit": "1000", "device_id": "2"}


def accelerator(name: str, **parameters: object) -> str:
    pairs = " ".join(
        f'parameters {{ key: "{key}" value: "{value}" }}' for key, value in parameters.items()
    )
    return f'gpu_execution_accelerator {{ name: "{name}" {pairs} }}'


def optimization(*accelerators: str) -> str:
    return f"optimization {{ execution_accelerators {{ {' '.join(accelerators)} }} }}"


def options(*accelerators: str, provider: int = 0) -> dict[str, str]:
    """Return what a provider is given beside the device."""
    (only,) = placed(optimization(*accelerators))
    found = dict(only.settings.providers[provider].options)
    assert found.pop("device_id") == "0"
    return found


def tensorrt(**parameters: object) -> dict[str, str]:
    return options(accelerator("tensorrt", **parameters))


def problem(text: str) -> str:
    with pytest.raises(LoadFailed) as caught:
        config(text)
    return str(caught.value)


class TestAccelerators:
    def test_tensorrt_goes_first_then_cuda_then_the_cpu(self) -> None:
        text = optimization(accelerator("cuda", use_tf32=0), accelerator("tensorrt"))

        (only,) = placed(text + "instance_group { kind: KIND_GPU gpus: 1 }", gpus=True)

        assert [(each.name, dict(each.options)) for each in only.settings.providers] == [
            ("TensorrtExecutionProvider", {"device_id": "1"}),
            ("CUDAExecutionProvider", {"use_tf32": "0", "device_id": "1"}),
            ("CPUExecutionProvider", {}),
        ]
        assert only.directories == ()

    def test_asking_for_one_is_asking_for_a_gpu(self) -> None:
        """Or a model would quietly run on the CPU where the GPU should have been."""
        (only,) = placed(optimization(accelerator("cuda")), gpus=False)

        assert only.device == "gpu:0"

    def test_instances_on_the_cpu_go_without(self) -> None:
        groups = "instance_group { kind: KIND_CPU } instance_group { kind: KIND_GPU }"

        cpu, gpu = placed(optimization(accelerator("tensorrt")) + groups)

        assert [each.name for each in cpu.settings.providers] == ["CPUExecutionProvider"]
        assert gpu.settings.providers[0].name == "TensorrtExecutionProvider"

    @pytest.mark.parametrize(
        ("precision", "expected"),
        [
            ("FP32", {}),
            ("FP16", {"trt_fp16_enable": "True"}),
            ("BF16", {"trt_bf16_enable": "True"}),
            ("INT8", {"trt_int8_enable": "True"}),
        ],
    )
    def test_precisions(self, precision: str, expected: dict[str, str]) -> None:
        assert tensorrt(precision_mode=precision) == expected

    def test_tritons_names_become_onnx_runtimes(self) -> None:
        assert tensorrt(
            max_workspace_size_bytes="1073741824",
            int8_calibration_table_name="table.flatbuffers",
            int8_use_native_calibration_table="1",
        ) == {
            "trt_max_workspace_size": "1073741824",
            "trt_int8_calibration_table_name": "table.flatbuffers",
            "trt_int8_use_native_calibration_table": "True",
            "trt_engine_cache_path": "/models/m/tensorrt",
        }

    def test_onnx_runtimes_own_are_passed_on(self) -> None:
        shapes = "x:1x3x224x224,y:1"

        assert tensorrt(
            trt_min_subgraph_size="5", trt_profile_min_shapes=shapes, trt_sparsity_enable="true"
        ) == {
            "trt_min_subgraph_size": "5",
            "trt_profile_min_shapes": shapes,
            "trt_sparsity_enable": "True",
        }

    @pytest.mark.parametrize("text", ["1", "true", "True"])
    def test_flags_are_spelt_as_each_provider_reads_them(self, text: str) -> None:
        """TensorRT's are True and False; ONNX Runtime refuses 1 and 0 there."""
        assert tensorrt(trt_fp16_enable=text) == {"trt_fp16_enable": "True"}
        assert options(accelerator("cuda", prefer_nhwc=text)) == {"prefer_nhwc": "1"}

    def test_cudas_options_are_passed_on(self) -> None:
        given = {
            "cudnn_conv_use_max_workspace": "0",
            "use_ep_level_unified_stream": "1",
            "gpu_mem_limit": "4294967296",
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",
        }

        assert options(accelerator("cuda", **given)) == given

    def test_engines_are_kept_below_the_model_wherever_the_server_was_started(self) -> None:
        (only,) = placed(optimization(accelerator("tensorrt", trt_engine_cache_enable=1)))
        (named,) = placed(
            optimization(
                accelerator(
                    "tensorrt",
                    trt_engine_cache_enable=1,
                    trt_timing_cache_enable=1,
                    trt_engine_cache_path="engines",
                )
            )
        )

        assert only.directories == (DIRECTORY / "tensorrt",)
        assert only.settings.providers[0].options["trt_engine_cache_path"] == "/models/m/tensorrt"
        assert named.directories == (DIRECTORY / "engines",)
        assert named.settings.providers[0].options["trt_timing_cache_path"] == "/models/m/engines"

    @pytest.mark.parametrize(
        "path", ["/tmp/x", "../x", "a/b", "..", ".", "", "1", "warmup", ".hidden", "a\\\\b"]
    )
    def test_they_are_kept_nowhere_else(self, path: str) -> None:
        for key in ("trt_engine_cache_path", "trt_timing_cache_path"):
            text = problem(optimization(accelerator("tensorrt", **{key: path})))

            assert f"parameters['{key}']: must name a directory below the model's" in text

    @pytest.mark.parametrize(
        ("name", "key", "value", "text"),
        [
            ("tensorrt", "precision_mode", "FP8", "must be one of FP32, FP16, BF16, INT8"),
            ("tensorrt", "max_workspace_size_bytes", "-1", "must be a whole number from 0"),
            ("tensorrt", "trt_fp16_enable", "yes", "must be 0, 1, false or true, got 'yes'"),
            ("tensorrt", "trt_fp16_enabel", "1", "(did you mean trt_fp16_enable?)"),
            ("tensorrt", "use_tf32", "1", "is not a parameter that inferd passes on"),
            ("tensorrt", "device_id", "1", "instance_group.gpus chooses the device"),
            ("cuda", "device_id", "1", "instance_group.gpus chooses the device"),
            ("cuda", "precision_mode", "FP16", "is not a parameter that inferd passes on"),
            # Libraries to load, addresses to call, files to write:
            ("tensorrt", "trt_extra_plugin_lib_paths", "/x.so", "is not a parameter"),
            ("tensorrt", "trt_engine_decryption_lib_path", "/x.so", "is not a parameter"),
            ("tensorrt", "trt_onnx_bytestream", "4096", "is not a parameter"),
            ("tensorrt", "trt_ep_context_file_path", "x", "is not a parameter"),
            ("tensorrt", "trt_dump_subgraphs", "1", "wherever the server was started"),
            ("tensorrt", "trt_engine_cache_prefix", "../x", "must be a plain file name"),
            ("tensorrt", "int8_calibration_table_name", "/x", "must be a plain file name"),
            ("cuda", "user_compute_stream", "4096", "is not a parameter"),
            ("cuda", "gpu_external_alloc", "4096", "is not a parameter"),
            # Would give the answers of an earlier run:
            ("tensorrt", "trt_cuda_graph_enable", "1", "at the same address in every run"),
            ("cuda", "enable_cuda_graph", "1", "at the same address in every run"),
        ],
    )
    def test_what_is_wrong_or_dangerous_is_refused_by_name(
        self, name: str, key: str, value: str, text: str
    ) -> None:
        told = problem(optimization(accelerator(name, **{key: value})))

        where = "optimization.execution_accelerators.gpu_execution_accelerator[0]"
        assert f"{where}.parameters['{key}']: " in told
        assert text in told

    def test_what_is_off_anyway_may_be_said(self) -> None:
        assert options(accelerator("cuda", enable_cuda_graph=0)) == {"enable_cuda_graph": "0"}

    def test_unknown_names_are_refused(self) -> None:
        where = "optimization.execution_accelerators"
        cpu = 'cpu_execution_accelerator { name: "openvino" }'

        assert f"{where}.cpu_execution_accelerator[0].name: openvino needs an onnxruntime" in (
            problem(optimization(cpu))
        )
        where += ".gpu_execution_accelerator"
        told = problem(optimization(accelerator("rocm")))
        assert f"{where}[0].name: must be tensorrt or cuda, got 'rocm'" in told
        told = problem(optimization(accelerator("cuda"), accelerator("cuda")))
        assert f"{where}[1].name: cuda is listed twice" in told

    def test_contradictions_are_told(self) -> None:
        assert "trt_fp16_enable is True there" in problem(
            optimization(accelerator("tensorrt", precision_mode="FP16", trt_fp16_enable=0))
        )
        assert "must be empty when all instances are of KIND_CPU" in problem(
            optimization(accelerator("cuda")) + "instance_group { kind: KIND_CPU }"
        )
        assert "parameters['gpu_mem_limit']: is 5, but" in problem(
            optimization(accelerator("cuda", gpu_mem_limit=6)) + parameter("gpu_mem_limit", 5)
        )

    def test_the_configuration_is_shown_as_it_was_written(self) -> None:
        given = config(optimization(accelerator("tensorrt", precision_mode="FP16")))

        (shown,) = to_proto(given).optimization.execution_accelerators.gpu_execution_accelerator

        assert (shown.name, dict(shown.parameters)) == ("tensorrt", {"precision_mode": "FP16"})


class TestCores:
    def dealt(self, text: str, *cores: int) -> list[tuple[tuple[tuple[int, ...], ...], str]]:
        found = on_own_cores(placed(text, cores=len(cores)), Cores(cores))
        return [(each.cores, each.settings.entries.get(AFFINITIES, "")) for each in found]

    def test_every_session_has_its_own_and_its_caller_the_first_of_them(self) -> None:
        assert self.dealt("instance_group { count: 2 kind: KIND_CPU }", 0, 2, 4, 5, 6, 7) == [
            (((0, 2, 4),), "3;5"),
            (((5, 6, 7),), "7;8"),
        ]

    def test_those_who_share_a_session_have_a_core_each(self) -> None:
        assert self.dealt("instance_group { count: 2 kind: KIND_CPU }", 0, 1) == [
            (((0,), (1,)), "")
        ]

    def test_one_instance_needs_none(self) -> None:
        assert self.dealt("", 0, 1) == [((), "")]

    def test_where_there_are_too_few_nobody_has_any(self) -> None:
        found = self.dealt("instance_group { count: 3 kind: KIND_CPU }", 0, 1)

        assert found == [(((), (), ()), "")]

    def test_what_the_model_says_goes_first(self) -> None:
        text = "instance_group { count: 2 kind: KIND_CPU }" + parameter(AFFINITIES, "1")

        assert self.dealt(text, 0, 1, 2, 3) == [((), "1"), ((), "1")]

    def test_instances_on_a_gpu_have_none(self) -> None:
        text = "instance_group { count: 2 kind: KIND_CPU } instance_group { kind: KIND_GPU }"
        found = on_own_cores(placed(text, gpus=True, cores=2), Cores((0, 1)))

        assert [(each.device, each.cores) for each in found] == [
            ("cpu", ((0,), (1,))),
            ("gpu:0", ()),
        ]

    def test_the_next_model_gets_the_next_cores(self) -> None:
        cores = Cores((0, 1, 2, 3, 4))

        assert cores.deal([1, 2]) == [(0,), (1, 2)]
        assert cores.deal([2, 1]) == [(3, 4), (0,)]
        assert cores.deal([3, 3]) == [(), ()]
        assert cores.deal([1]) == [(1,)]
