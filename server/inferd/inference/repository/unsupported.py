"""What a Triton configuration may ask for and inferd does not do: refused by name, never ignored.

A field that asks for nothing (false, empty, its default) is let through, because tools
write those. The two in `EVEN_EMPTY` mean something when they are there at all.
"""

from collections.abc import Mapping
from typing import Any

from inferd.inference.repository.problems import Problems, path_of, shown

UNSUPPORTED = {
    "runtime": "is not supported: every model runs in ONNX Runtime",
    "sequence_batching": "is not supported: inferd serves models without state between requests",
    "ensemble_scheduling": "is not supported: call the models one by one",
    "cc_model_filenames": "is not supported: use default_model_filename",
    "model_operations": "is not supported: inferd loads no custom operator libraries",
    "model_transaction_policy": "is not supported: a request has exactly one response",
    "model_repository_agents": "is not supported: models are loaded as they are on disk",
    "response_cache": "is not supported: every request is run",
    "model_metrics": "is not supported: histogram bounds are the server's,"
    " telemetry.latency_buckets_ms",
    "input[].format": "is not supported: inferd does not look into tensors, leave it out",
    "input[].reshape": "is not supported: clients send the graph's own shape;"
    " leave dims out to have it from the graph",
    "input[].is_shape_tensor": "is not supported: only TensorRT has shape tensors",
    "input[].is_non_linear_format_io": "is not supported: only TensorRT has such formats",
    "output[].reshape": "is not supported: clients receive the graph's own shape;"
    " leave dims out to have it from the graph",
    "output[].is_shape_tensor": "is not supported: only TensorRT has shape tensors",
    "output[].is_non_linear_format_io": "is not supported: only TensorRT has such formats",
    "instance_group[].rate_limiter": "is not supported: deadlines decide what runs, not resources",
    "instance_group[].secondary_devices": "is not supported: an instance has one device",
    "instance_group[].profile": "is not supported: only TensorRT has profiles",
    "instance_group[].passive": "is not supported: every instance serves",
    "instance_group[].host_policy": "is not supported: bind the process to its cores instead",
    "optimization.priority": "is not supported: deadlines decide the order of work;"
    " dynamic_batching has priority_levels",
    "optimization.cuda": "is not supported: these are settings of Triton's TensorRT backend",
}  # fmt: skip
"""Why, by field; `[]` stands for any position."""

EVEN_EMPTY = {"sequence_batching", "ensemble_scheduling", "input[].reshape", "output[].reshape"}

MAX_DEPTH = 16


def without_unsupported(data: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Return a deep copy without the fields above, noting those that ask for something."""
    kept: dict[str, Any] = _kept(data, (), "", problems)
    return kept


def _kept(value: Any, location: tuple[int | str, ...], pattern: str, problems: Problems) -> Any:
    if len(location) > MAX_DEPTH:
        problems.add(path_of(location[:2]), "is nested too deeply")
        return None
    if isinstance(value, list | tuple):
        return [
            _kept(item, (*location, index), f"{pattern}[]", problems)
            for index, item in enumerate(value)
        ]
    if not isinstance(value, Mapping):
        return value
    kept = {}
    for key, item in value.items():
        where = (*location, key if isinstance(key, int) else str(key))
        what = f"{pattern}.{key}" if pattern else str(key)
        if what not in UNSUPPORTED:
            kept[key] = _kept(item, where, what, problems)
        elif what in EVEN_EMPTY or not _asks_for_nothing(item):
            problems.add(path_of(where), f"{_said(item)}{UNSUPPORTED[what]}")
    return kept


def _said(value: Any) -> str:
    return "" if isinstance(value, Mapping | list | tuple) else f"{shown(value)} "


def _asks_for_nothing(value: Any, depth: int = 0) -> bool:
    if isinstance(value, Mapping | list | tuple) and depth < MAX_DEPTH:
        items = value.values() if isinstance(value, Mapping) else value
        return all(_asks_for_nothing(item, depth + 1) for item in items)
    return value in (None, False, 0, "", "FORMAT_NONE", "PRIORITY_DEFAULT")
