"""Warm by construction: no caller ever meets a session that has not run at that size.

Every bucket of every session runs before the version is ready, on the requests that its
configuration declares and on made-up ones for the sizes that it does not. What comes out
must have the shape that the signature promises. NaN and infinity out of declared data
fail the load; out of made-up data they only earn a warning, for nobody says that the
made-up data make sense.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inferd.deadline import Clock
from inferd.errors import LoadFailed, ModelFailed
from inferd.inference.batch import Runner
from inferd.inference.repository.schema import Warmup, WarmupInput
from inferd.inference.request import Tensors
from inferd.runtime.datatypes import BY_CONFIG, DataType
from inferd.runtime.signature import Signature, Tensor

log = logging.getLogger(__name__)

#: Enough timed runs of one bucket, whatever their number: a slow model must get ready, too.
ENOUGH_S = 0.5
SEED = 20


class Seeded(Protocol):
    """What the measured times are for."""

    def seed(self, rows: int, seconds: float) -> None:
        """Record that a run of `rows` took `seconds`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One warm-up request."""

    name: str
    inputs: Tensors
    rows: int
    #: Somebody wrote it down: its answer must be finite.
    declared: bool
    count: int = 1


def samples(
    signature: Signature, warmups: Sequence[Warmup], directory: Path, buckets: Sequence[int]
) -> Iterator[Sample]:
    """Return the declared requests, then a made-up one for every bucket."""
    for warmup in warmups:
        rows = warmup.batch_size if signature.batches else 1
        inputs = {
            name: _declared(signature, name, each, warmup, directory)
            for name, each in warmup.inputs.items()
        }
        yield Sample(warmup.name, inputs, max(rows, 1), declared=True, count=max(warmup.count, 1))
    for bucket in buckets:
        yield Sample(f"made-up, {bucket} rows", made_up(signature, bucket), bucket, declared=False)


def made_up(signature: Signature, rows: int) -> Tensors:
    """Return inputs that fit: small random numbers, zeros for whole ones, empty strings."""
    rng = np.random.default_rng(SEED)
    return {
        tensor.name: _filled(tensor.datatype, _concrete(tensor, signature, rows), rng)
        for tensor in signature.inputs
        if not tensor.optional
    }


def warm_up(
    runner: Runner,
    signature: Signature,
    requests: Sequence[Sample],
    *,
    runs: int,
    latency: Sequence[Seeded],
    clock: Clock,
) -> None:
    """Run every sample, and seed the latency models with what the runs took.

    Raises `LoadFailed` when the model fails, or answers in a shape it does not promise.
    """
    for sample in requests:
        _check(runner, signature, sample)
        began, done = clock(), 0
        while done < max(runs, sample.count) and clock() - began < ENOUGH_S:
            start = clock()
            _run(runner, signature, sample)
            seconds = clock() - start
            for model in latency:
                model.seed(sample.rows, seconds)
            done += 1


def _run(runner: Runner, signature: Signature, sample: Sample) -> list[NDArray[Any]]:
    names = tuple(output.name for output in signature.outputs)
    try:
        return runner.run(sample.inputs, names, runner.stop())
    except ModelFailed as error:
        raise LoadFailed(f"warm-up '{sample.name}' failed: {error}") from error


def _check(runner: Runner, signature: Signature, sample: Sample) -> None:
    """Run a sample for the first time, and look at the answer."""
    for output, array in zip(signature.outputs, _run(runner, signature, sample), strict=True):
        expected = (sample.rows, *output.shape[1:]) if signature.batches else output.shape
        if not _fits(array.shape, expected):
            raise LoadFailed(
                f"warm-up '{sample.name}': output '{output.name}' has shape"
                f" {list(array.shape)}, expected {list(expected)}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            text = f"warm-up '{sample.name}': output '{output.name}' is not finite"
            if sample.declared:
                raise LoadFailed(text)
            log.warning("%s; the inputs were made up, so it may mean nothing", text)


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(
        want in (-1, have) for have, want in zip(shape, expected, strict=True)
    )


def _concrete(tensor: Tensor, signature: Signature, rows: int) -> tuple[int, ...]:
    """Return the tensor's shape with a size for every dimension that has none."""
    shape = (rows, *tensor.shape[1:]) if signature.batches else tensor.shape
    return tuple(1 if dim < 0 else dim for dim in shape)


def _filled(datatype: DataType, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if not datatype.fixed_size:
        return np.full(shape, "", np.object_)
    if datatype.numpy.kind == "f":
        return rng.standard_normal(shape).astype(datatype.numpy)
    return np.zeros(shape, datatype.numpy)


def _declared(
    signature: Signature, name: str, given: WarmupInput, warmup: Warmup, directory: Path
) -> NDArray[Any]:
    datatype = BY_CONFIG[given.data_type or _tensor(signature, name).datatype.config]
    shape = tuple(given.dims)
    if signature.batches:
        shape = (max(warmup.batch_size, 1), *shape)
    if given.input_data_file:
        return _from_file(directory / "warmup" / given.input_data_file, datatype, shape)
    if given.random_data:
        return _filled(datatype, shape, np.random.default_rng(SEED))
    empty: Any = 0 if datatype.fixed_size else ""
    return np.full(shape, empty, datatype.numpy)


def _tensor(signature: Signature, name: str) -> Tensor:
    return next(tensor for tensor in signature.inputs if tensor.name == name)


def _from_file(path: Path, datatype: DataType, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read raw elements in the protocol's layout, little-endian; strings with their lengths."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LoadFailed(f"warm-up data {path.name}: {error.strerror}") from error
    count = int(np.prod(shape))
    if datatype.fixed_size and len(data) == count * datatype.numpy.itemsize:
        return np.frombuffer(data, datatype.numpy).reshape(shape)
    strings = None if datatype.fixed_size else _strings(data)
    if strings is None or len(strings) != count:
        raise LoadFailed(
            f"warm-up data {path.name}: {len(data)} bytes are not {datatype.name} {list(shape)}"
        )
    return np.array(strings, np.object_).reshape(shape)


def _strings(data: bytes) -> list[str] | None:
    """Return length-prefixed strings, or None when the lengths do not add up."""
    found, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : end].decode(errors="replace"))
        at = end
    return found if at == len(data) else None
