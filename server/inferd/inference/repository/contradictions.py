"""What the fields of a configuration may not say together: Triton's rules, and a few of ours."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from inferd.inference.repository.accelerators import GPU_LIST
from inferd.inference.repository.parameters import (
    BATCH_BUCKETS,
    SEQUENCE_BUCKETS,
    SEQUENCE_PAD,
    options_from,
)
from inferd.inference.repository.problems import Problem, path_of, shown
from inferd.inference.repository.ragged import is_ragged, ragged_contradictions
from inferd.inference.repository.schema import (
    MAX_INSTANCES,
    DynamicBatching,
    Input,
    InstanceGroup,
    ModelConfig,
    Output,
    VersionPolicy,
    WarmupInput,
)

#: Elements of one made-up input: a configuration may come from afar, memory does not.
MAX_WARMUP_ELEMENTS = 2**28


def contradictions(config: ModelConfig) -> Iterator[Problem]:
    """Everything in a configuration that its types alone do not forbid."""
    if config.max_batch_size is not None and config.max_batch_size < 0:
        yield "max_batch_size", f"must not be negative, got {config.max_batch_size}"
    filename = config.default_model_filename
    if filename and not is_plain_filename(filename):
        yield "default_model_filename", f"must be a plain file name, got {shown(filename)}"
    yield from _of_tensors("input", config.input)
    yield from _of_tensors("output", config.output)
    yield from _of_labels(config.output)
    yield from _of_versions(config.version_policy)
    yield from _of_instances(config.instance_group)
    yield from _of_accelerators(config)
    yield from _of_batching(config.dynamic_batching, config.max_batch_size)
    yield from _of_buckets(config)
    yield from ragged_contradictions(config)
    yield from _of_warmups(config)
    yield from _of_tags(config.metric_tags)
    yield from options_from({key: each.string_value for key, each in config.parameters.items()})[1]


def is_plain_filename(name: str) -> bool:
    """Whether a name stays in the directory it is looked up in, whatever that is."""
    return name not in ("", ".", "..") and not re.search(r"[/\\\x00]", name)


def is_inner_path(path: str) -> bool:
    """Whether a relative path of plain names, joined by `/`, stays below where it starts."""
    return all(is_plain_filename(name) for name in path.split("/"))


def _of_tensors(field: str, tensors: Iterable[Input | Output]) -> Iterator[Problem]:
    seen = set()
    for index, tensor in enumerate(tensors):
        if not tensor.name:
            yield f"{field}[{index}].name", "is missing"
        elif tensor.name in seen:
            yield f"{field}[{index}].name", f"{shown(tensor.name)} is listed twice"
        seen.add(tensor.name)
        for position, dim in enumerate(tensor.dims):
            if dim < -1 or dim == 0:
                yield (
                    f"{field}[{index}].dims[{position}]",
                    f"must be at least 1, or -1 for any, got {dim}",
                )


def _of_labels(outputs: Iterable[Output]) -> Iterator[Problem]:
    for index, output in enumerate(outputs):
        if output.label_filename and not is_inner_path(output.label_filename):
            yield (
                f"output[{index}].label_filename",
                f"must name a file in the model's directory, got {shown(output.label_filename)}",
            )


def _of_versions(policy: VersionPolicy | None) -> Iterator[Problem]:
    if policy is None:
        return
    chosen = [each for each in (policy.latest, policy.all, policy.specific) if each is not None]
    if len(chosen) != 1:
        yield "version_policy", "must be exactly one of latest, all, specific"
    if policy.specific is not None and not policy.specific.versions:
        yield "version_policy.specific.versions", "must list at least one version"


def _of_instances(groups: Iterable[InstanceGroup]) -> Iterator[Problem]:
    total = 0
    for index, group in enumerate(groups):
        total += group.count * max(1, len(group.gpus))
        if group.gpus and group.kind == "KIND_CPU":
            yield f"instance_group[{index}].gpus", "must be empty when kind is KIND_CPU"
        if len(set(group.gpus)) != len(group.gpus):
            yield f"instance_group[{index}].gpus", "must not list a device twice"
    if total > MAX_INSTANCES:
        yield "instance_group", f"asks for {total} instances, {MAX_INSTANCES} are the most"


def _of_accelerators(config: ModelConfig) -> Iterator[Problem]:
    given = config.optimization and config.optimization.execution_accelerators
    if not given:
        return
    found, problems = given.read()
    yield from problems
    kinds = {group.kind for group in config.instance_group}
    if found.asked and kinds == {"KIND_CPU"}:
        yield GPU_LIST, "must be empty when all instances are of KIND_CPU"
    for key, value in (found.cuda or {}).items():
        other = config.options.cuda.get(key, value)
        if other != value:
            yield f"parameters[{shown(key)}]", f"is {other}, but {GPU_LIST} has {value}"


def _of_batching(batching: DynamicBatching | None, max_batch_size: int | None) -> Iterator[Problem]:
    if batching is None:
        return
    if max_batch_size == 0:
        yield "dynamic_batching", "needs a max_batch_size of at least 1"
    for index, size in enumerate(batching.preferred_batch_size):
        if size < 1 or size > (max_batch_size or size):
            most = f" to max_batch_size ({max_batch_size})" if max_batch_size else " up"
            yield (
                f"dynamic_batching.preferred_batch_size[{index}]",
                f"must be from 1{most}, got {size}",
            )
    yield from _of_priorities(batching)


def _of_buckets(config: ModelConfig) -> Iterator[Problem]:
    """Look at the sizes that batches and sequences are filled up to."""
    sizes, most = config.options.batch_buckets, config.max_batch_size
    if sizes and most is not None and sizes[-1] != most:
        yield f"parameters['{BATCH_BUCKETS}']", f"must end with max_batch_size ({most})"
    if sizes and config.dynamic_batching:
        for index, size in enumerate(config.dynamic_batching.preferred_batch_size):
            if size not in sizes:
                yield (
                    f"dynamic_batching.preferred_batch_size[{index}]",
                    f"must be one of {BATCH_BUCKETS}, got {size}",
                )
    lengths = config.options.sequence_buckets
    if lengths and most == 0:
        yield f"parameters['{SEQUENCE_BUCKETS}']", "needs a max_batch_size of at least 1"
    if config.options.sequence_pad and not lengths:
        yield f"parameters['{SEQUENCE_PAD}']", f"needs {SEQUENCE_BUCKETS}"
    for key, given in ((BATCH_BUCKETS, sizes), (SEQUENCE_BUCKETS, lengths)):
        if given and is_ragged(config):
            yield f"parameters['{key}']", "cannot go with ragged batches, which have no padding"


def _of_priorities(batching: DynamicBatching) -> Iterator[Problem]:
    levels = batching.priority_levels
    if levels > 1 and batching.preserve_ordering:
        yield "dynamic_batching.priority_levels", "must be at most 1 when preserve_ordering is true"
    default = batching.default_priority_level
    if not (1 <= default <= levels or default == levels == 0):
        yield (
            "dynamic_batching.default_priority_level",
            f"must be from 1 to priority_levels ({levels}), got {default}"
            if levels
            else f"needs priority_levels, got {default}",
        )
    for level in batching.priority_queue_policy:
        if not 1 <= level <= levels:
            yield (
                f"dynamic_batching.priority_queue_policy[{level}]",
                f"must be for a level from 1 to priority_levels ({levels})",
            )


def _of_warmups(config: ModelConfig) -> Iterator[Problem]:
    for index, warmup in enumerate(config.model_warmup):
        where = f"model_warmup[{index}]"
        most = config.max_batch_size
        if most is not None and warmup.batch_size > max(most, 1):
            yield f"{where}.batch_size", f"must be at most {max(most, 1)}, got {warmup.batch_size}"
        for name, each in warmup.inputs.items():
            path = path_of(("model_warmup", index, "inputs", name))
            yield from _of_warmup_input(path, each, max(warmup.batch_size, 1))


def _of_warmup_input(where: str, each: WarmupInput, rows: int) -> Iterator[Problem]:
    if each.zero_data + each.random_data + bool(each.input_data_file) != 1:
        yield where, "must have exactly one of zero_data, random_data, input_data_file"
    if each.input_data_file and not is_inner_path(each.input_data_file):
        yield (
            f"{where}.input_data_file",
            f"must name a file in the model's warmup directory, got {shown(each.input_data_file)}",
        )
    if rows * math.prod(each.dims) > MAX_WARMUP_ELEMENTS:
        yield f"{where}.dims", f"must not make more than {MAX_WARMUP_ELEMENTS} elements"


def _of_tags(tags: Mapping[str, str]) -> Iterator[Problem]:
    for name in tags:
        if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__"):
            yield f"metric_tags[{shown(name)}]", "must be a Prometheus label name"
        elif name in ("model", "version"):
            yield f"metric_tags[{shown(name)}]", "is a label that inferd sets itself"
