"""`optimization.execution_accelerators`: strings on disk, ONNX Runtime's options from here on.

Triton's names (`precision_mode`, `max_workspace_size_bytes`, ...) become ONNX Runtime's;
options of the TensorRT and CUDA execution providers keep their own. Both tables list what
passes, because some that exist must not: an option may be the address of a function, a
library to load, or a file to write. Caches of compiled engines are written below the
model's own directory and nowhere else, in `tensorrt/` if no other is named: on its own,
ONNX Runtime would write them to wherever the process was started.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from inferd.inference.repository.problems import Problem, shown

Given = tuple[str, Mapping[str, str]]
"""An accelerator's name and its parameters."""

#: Where TensorRT keeps what it has compiled, unless another directory is named.
CACHE_DIRECTORY = "tensorrt"
#: Options that are directories below the model's.
DIRECTORIES = frozenset({"trt_engine_cache_path", "trt_timing_cache_path"})

GPU_LIST = "optimization.execution_accelerators.gpu_execution_accelerator"
CPU_LIST = "optimization.execution_accelerators.cpu_execution_accelerator"

_FLAGS = {"0": False, "1": True, "false": False, "true": True}
_WHOLE = re.compile("-?[0-9]{1,20}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Accelerators:
    """What a model asks of the GPU, in ONNX Runtime's words, before a device is chosen."""

    #: Whether it asks for one at all.
    asked: bool = False
    #: Of the TensorRT execution provider; None: it is not asked for. Paths are relative.
    tensorrt: Mapping[str, str] | None = None
    #: Of the CUDA execution provider, which also runs what TensorRT cannot.
    cuda: Mapping[str, str] | None = None


def _flag(text: str) -> str:
    if text.lower() not in _FLAGS:
        raise ValueError("must be 0, 1, false or true")
    return str(_FLAGS[text.lower()])  # TensorRT's options are True and False, and nothing else


def _digit(text: str) -> str:
    return "1" if _flag(text) == "True" else "0"


def _off(why: str, flag: Callable[[str], str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if _flag(text) == "True":
            raise ValueError(f"is not supported: {why}")
        return flag(text)

    return read


def _whole(least: int, most: int = 2**64 - 1) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not (_WHOLE.fullmatch(text) and least <= int(text) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return str(int(text))

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def _text(text: str) -> str:
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise ValueError(f"must have 1 to {_LONGEST} printable characters")
    return text


def _plain_name(text: str) -> str:
    if not _PLAIN_NAME.fullmatch(text):
        raise ValueError("must be a plain file name")
    return text


def _directory(text: str) -> str:
    if not _PLAIN_NAME.fullmatch(text) or text.isdecimal() or text == "warmup":
        raise ValueError(
            "must name a directory below the model's, which is neither a version nor warmup"
        )
    return text


_WRITES = "it writes files to wherever the server was started"
_CAPTURED = "a captured graph wants its tensors at the same address in every run"

TENSORRT: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(
        (
            "trt_fp16_enable",
            "trt_bf16_enable",
            "trt_int8_enable",
            "trt_int8_use_native_calibration_table",
            "trt_dla_enable",
            "trt_engine_cache_enable",
            "trt_engine_hw_compatible",
            "trt_timing_cache_enable",
            "trt_force_timing_cache",
            "trt_force_sequential_engine_build",
            "trt_context_memory_sharing_enable",
            "trt_layer_norm_fp32_fallback",
            "trt_detailed_build_log",
            "trt_build_heuristics_enable",
            "trt_sparsity_enable",
        ),
        _flag,
    ),
    **dict.fromkeys(
        (
            "trt_profile_min_shapes",
            "trt_profile_max_shapes",
            "trt_profile_opt_shapes",
            "trt_tactic_sources",
            "trt_preview_features",
            "trt_op_types_to_exclude",
        ),
        _text,
    ),
    **dict.fromkeys(DIRECTORIES, _directory),
    "trt_max_workspace_size": _whole(0),
    "trt_max_partition_iterations": _whole(1, 2**31 - 1),
    "trt_min_subgraph_size": _whole(1, 2**31 - 1),
    "trt_dla_core": _whole(0, 1024),
    "trt_builder_optimization_level": _whole(0, 5),
    "trt_auxiliary_streams": _whole(-1, 1024),
    "trt_engine_cache_prefix": _plain_name,
    "trt_int8_calibration_table_name": _plain_name,
    "trt_cuda_graph_enable": _off(_CAPTURED, _flag),
    "trt_dump_subgraphs": _off(_WRITES, _flag),
    "trt_dump_ep_context_model": _off(_WRITES, _flag),
}
"""The options of ONNX Runtime's TensorRT execution provider, and how to read each."""

CUDA: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(
        (
            "do_copy_in_default_stream",
            "use_ep_level_unified_stream",
            "cudnn_conv_use_max_workspace",
            "cudnn_conv1d_pad_to_nc1d",
            "enable_skip_layer_norm_strict_mode",
            "fuse_conv_bias",
            "prefer_nhwc",
            "tunable_op_enable",
            "tunable_op_tuning_enable",
            "use_tf32",
        ),
        _digit,
    ),
    "gpu_mem_limit": _whole(1),
    "sdpa_kernel": _whole(0, 2**31 - 1),
    "tunable_op_max_tuning_duration_ms": _whole(0, 2**31 - 1),
    "arena_extend_strategy": _one_of("kNextPowerOfTwo", "kSameAsRequested"),
    "cudnn_conv_algo_search": _one_of("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "enable_cuda_graph": _off(_CAPTURED, _digit),
}
"""The options of ONNX Runtime's CUDA execution provider, and how to read each."""

TRITON: Mapping[str, str] = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
"""What Triton calls some of TensorRT's. `precision_mode` is another, but chooses among three."""

PRECISIONS: Mapping[str, Mapping[str, str]] = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "True"},
    "BF16": {"trt_bf16_enable": "True"},
    "INT8": {"trt_int8_enable": "True"},
}


def accelerators_from(
    gpu: Sequence[Given], cpu: Sequence[Given]
) -> tuple[Accelerators, list[Problem]]:
    """Understand the two lists; what cannot be understood is left out and told."""
    problems: list[Problem] = []
    found: dict[str, dict[str, str]] = {}
    for index, (name, parameters) in enumerate(gpu):
        path = f"{GPU_LIST}[{index}]"
        if name not in ("tensorrt", "cuda"):
            problems.append((f"{path}.name", f"must be tensorrt or cuda, got {shown(name)}"))
        elif name in found:
            problems.append((f"{path}.name", f"{name} is listed twice"))
        else:
            read = _read_tensorrt if name == "tensorrt" else _read_cuda
            found[name] = {}
            problems += _read_all(path, parameters, read, into=found[name])
    problems += _of_cpu(cpu)
    tensorrt = found.get("tensorrt")
    if tensorrt is not None:
        _keep_within_the_model(tensorrt)
    return Accelerators(bool(gpu), tensorrt, found.get("cuda")), problems


def _of_cpu(cpu: Sequence[Given]) -> Iterable[Problem]:
    for index, (name, _) in enumerate(cpu):
        if name == "openvino":
            text = "openvino needs an onnxruntime that was built with it, which inferd's is not"
        else:
            text = f"there is none for CPUs, got {shown(name)}"
        yield f"{CPU_LIST}[{index}].name", text


def _read_all(
    path: str,
    parameters: Mapping[str, str],
    read: Callable[[str, str], Mapping[str, str]],
    *,
    into: dict[str, str],
) -> Iterable[Problem]:
    for key, text in sorted(parameters.items()):
        where = f"{path}.parameters[{shown(key)}]"
        try:
            options = read(key, text)
        except ValueError as error:
            yield where, f"{error}, got {shown(text)}"
            continue
        for option, value in options.items():
            if into.setdefault(option, value) != value:
                yield where, f"contradicts another parameter: {option} is {into[option]} there"


def _read_tensorrt(key: str, text: str) -> Mapping[str, str]:
    if key == "precision_mode":
        if text not in PRECISIONS:
            raise ValueError(f"must be one of {', '.join(PRECISIONS)}")
        return PRECISIONS[text]
    option = TRITON.get(key, key)
    return {option: _reader(key, option, TENSORRT, ["precision_mode", *TRITON])(text)}


def _read_cuda(key: str, text: str) -> Mapping[str, str]:
    return {key: _reader(key, key, CUDA, [])(text)}


def _reader(
    key: str, option: str, table: Mapping[str, Callable[[str], str]], others: Sequence[str]
) -> Callable[[str], str]:
    if option in table:
        return table[option]
    if option == "device_id":
        raise ValueError("is not supported here: instance_group.gpus chooses the device")
    near = get_close_matches(key[:128], [*others, *table], n=1)
    raise ValueError(
        "is not a parameter that inferd passes on" + (f" (did you mean {near[0]}?)" if near else "")
    )


def _keep_within_the_model(options: dict[str, str]) -> None:
    """Say where caches are kept, if there are any."""
    engines = options.get("trt_engine_cache_enable") == "True"
    if engines or "trt_int8_calibration_table_name" in options:
        options.setdefault("trt_engine_cache_path", CACHE_DIRECTORY)
    if options.get("trt_timing_cache_enable") == "True":
        options.setdefault(
            "trt_timing_cache_path", options.get("trt_engine_cache_path", CACHE_DIRECTORY)
        )
