"""Warm by construction: no caller ever meets a session that has not run at that size.

Before a version is ready every one of its sessions runs the requests that were recorded
for it, those that its configuration declares, and a batch of every bucket. The batches
repeat the rows of the first request there is; only where nobody wrote one down are they
made up. What comes out must have the shape that the signature promises. NaN and infinity
out of what somebody wrote down fail the load; out of made-up data they are only worth
mentioning, for nobody says that those make sense.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inferd.deadline import Clock
from inferd.errors import InvalidRequest, LoadFailed, ModelFailed
from inferd.inference.batch import Runner
from inferd.inference.finite import is_finite
from inferd.inference.packing import ROWS, Lengths, Packing
from inferd.inference.recordings import read_inner
from inferd.inference.repository.schema import Warmup, WarmupInput
from inferd.inference.request import Tensors
from inferd.runtime.datatypes import BY_CONFIG, DataType
from inferd.runtime.signature import Signature, Tensor

#: Enough timed runs of one bucket, whatever their number: a slow model must get ready, too.
ENOUGH_S = 0.5
#: The largest file with data for one input.
MAX_BYTES = 1024 * 1024 * 1024
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
    #: Nobody wrote it down: its answer need not make sense.
    made_up: bool = False
    #: Runs that are wanted, the first included.
    count: int = 1
    #: Whether to run it again to see how long it takes.
    timed: bool = False


def recorded(name: str, signature: Signature, inputs: Tensors) -> Iterator[Sample]:
    """Return a request that came over the wire, in parts if serving it would take several."""
    texts = {each.name for each in signature.inputs if not each.datatype.fixed_size}
    arrays = {
        key: _text(f"{name}: input '{key}'", array) if key in texts else array
        for key, array in inputs.items()
    }
    if not signature.batches:
        yield Sample(name, arrays, 1)
        return
    rows = next((array.shape[0] for array in arrays.values()), 0)
    most = signature.max_batch_size
    for at in range(0, rows, most):
        part = {key: array[at : at + most] for key, array in arrays.items()}
        yield Sample(name, part, min(most, rows - at))


def of_config(signature: Signature, warmups: Sequence[Warmup], directory: Path) -> Iterator[Sample]:
    """Return the requests that a configuration declares. Raises `LoadFailed`, naming the file."""
    for index, warmup in enumerate(warmups):
        rows = max(warmup.batch_size, 1) if signature.batches else 1
        inputs = {
            name: _declared(signature, name, each, rows, directory)
            for name, each in warmup.inputs.items()
        }
        name = f"warm-up '{warmup.name or index}'"
        yield Sample(name, inputs, rows, count=max(warmup.count, 1))


def of_buckets(
    signature: Signature,
    buckets: Iterable[int],
    *,
    like: Sequence[Sample],
    lengths: Lengths | None = None,
) -> Iterator[Sample]:
    """Return a request for every bucket: the rows of one in `like` repeated, or made up.

    Where sequences have buckets, too, one for every pair; only the longest are timed, because
    nobody may be promised less than they take.
    """
    model = next((each for each in like if each.rows), None)
    for bucket in buckets:
        if model is None:
            inputs, name = made_up(signature, bucket), "warm-up with made-up inputs"
        else:
            inputs = _repeated(model, bucket) if signature.batches else model.inputs
            name = model.name
        name += f" in a batch of {bucket}" if signature.batches else ""
        sample = Sample(name, inputs, bucket, made_up=model is None, timed=True)
        yield from [sample] if lengths is None else _of_lengths(sample, lengths)


def _of_lengths(sample: Sample, lengths: Lengths) -> Iterator[Sample]:
    for length in lengths.buckets:
        yield replace(
            sample,
            name=f"{sample.name} with sequences of {length}",
            inputs=lengths.stretched(sample.inputs, length),
            timed=length == lengths.buckets[-1],
        )


def as_request(sample: Sample, signature: Signature) -> Sample:
    """Return a sample as a caller could send it: of a batch of ours, the first row."""
    if not (sample.timed and signature.batches):
        return sample
    row = {name: array[:1] for name, array in sample.inputs.items()}
    return replace(sample, inputs=row, rows=1, timed=False)


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
    packing: Packing = ROWS,
    runs: int,
    largest: int,
    latency: Seeded,
    run_time: Seeded,
    clock: Clock,
) -> list[str]:
    """Run every sample, and seed the latency models with what the timed ones took.

    `runs` is how often a timed sample is run again, `largest` the largest bucket. `latency` is
    told of all that a batch takes, `run_time` of the model alone. Returns what is doubtful. Raises
    `LoadFailed` when the model fails or answers in a shape it does not promise, and when its
    answer to what somebody wrote down is not finite.
    """
    doubts: list[str] = []
    for sample in requests:
        trial = _Trial(runner, signature, sample, packing)
        doubts += trial.checked()
        for _ in range(1, sample.count):
            trial.answers(trial.outputs())
        if not sample.timed or sample.rows > largest:
            continue
        began, done = clock(), 0
        while done < runs and clock() - began < ENOUGH_S:
            start = clock()
            outputs = trial.outputs()
            run_time.seed(sample.rows, clock() - start)
            trial.answers(outputs)
            latency.seed(sample.rows, clock() - start)
            done += 1
    return doubts


@dataclass(frozen=True, slots=True)
class _Member:
    """One request of a warm-up batch."""

    inputs: Tensors
    rows: int
    outputs: tuple[str, ...]


class _Trial:
    """A sample, made into the inputs of a run."""

    def __init__(
        self, runner: Runner, signature: Signature, sample: Sample, packing: Packing
    ) -> None:
        self._runner = runner
        self._signature = signature
        self._sample = sample
        self._packing = packing
        self._names = tuple(output.name for output in signature.outputs)
        self._members = [*self._apart()]
        try:
            self._inputs, _ = packing.pack(self._members)
        except InvalidRequest as error:
            raise LoadFailed(f"{sample.name}: {error}") from error

    def outputs(self) -> Tensors:
        """Run the model. Raises `LoadFailed`."""
        runner = self._runner
        try:
            arrays = runner.run(self._inputs, self._names, runner.stop())
        except ModelFailed as error:
            raise self._failed(error) from error
        return dict(zip(self._names, arrays, strict=True))

    def answers(self, outputs: Tensors) -> list[Tensors]:
        """Return what every member gets of the outputs. Raises `LoadFailed`."""
        try:
            return self._packing.unpack(self._members, outputs)
        except ModelFailed as error:
            raise self._failed(error) from error

    def checked(self) -> Iterator[str]:
        """Run for the first time, look at the answers, and say what is doubtful in them."""
        sample, answers = self._sample, self.answers(self.outputs())
        for output in self._signature.outputs:
            array = _joined([answer[output.name] for answer in answers])
            expected = (sample.rows, *output.shape[1:]) if self._signature.batches else output.shape
            if not _fits(array.shape, expected):
                raise LoadFailed(
                    f"{sample.name}: output '{output.name}' has shape {list(array.shape)},"
                    f" expected {list(expected)}"
                )
            if not is_finite(array, output.datatype):
                text = f"{sample.name}: output '{output.name}' is not finite"
                if not sample.made_up:
                    raise LoadFailed(text)
                yield text

    def _failed(self, error: ModelFailed) -> LoadFailed:
        way_out = "; declare a model_warmup that makes sense to it"
        way_out = way_out if self._sample.made_up else ""
        return LoadFailed(f"{self._sample.name} failed: {error}{way_out}")

    def _apart(self) -> Iterator[_Member]:
        """Return the sample as it is; a batch of ours as what batches are: many requests."""
        sample = self._sample
        if not (sample.timed and self._signature.batches):
            yield _Member(sample.inputs, sample.rows, self._names)
            return
        for at in range(sample.rows):
            row = {name: array[at : at + 1] for name, array in sample.inputs.items()}
            yield _Member(row, 1, self._names)


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(
        want in (-1, have) for have, want in zip(shape, expected, strict=True)
    )


def _concrete(tensor: Tensor, signature: Signature, rows: int) -> tuple[int, ...]:
    """Return the tensor's shape with a size for every dimension that has none."""
    shape = (rows, *tensor.shape[1:]) if signature.batches else tensor.shape
    return tuple(1 if dim < 0 else dim for dim in shape)


def _repeated(sample: Sample, rows: int) -> Tensors:
    at = np.arange(rows) % sample.rows
    return {name: array[at] for name, array in sample.inputs.items()}


def _filled(datatype: DataType, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if not datatype.fixed_size:
        return np.full(shape, "", np.object_)
    if datatype.numpy.kind == "f":
        return rng.standard_normal(shape).astype(datatype.numpy)
    return np.zeros(shape, datatype.numpy)


def _declared(
    signature: Signature, name: str, given: WarmupInput, rows: int, directory: Path
) -> NDArray[Any]:
    tensor = next(tensor for tensor in signature.inputs if tensor.name == name)
    datatype = BY_CONFIG[given.data_type or tensor.datatype.config]
    shape = (rows, *given.dims) if signature.batches else tuple(given.dims)
    if given.input_data_file:
        return _from_file(directory, f"warmup/{given.input_data_file}", datatype, shape)
    if given.random_data:
        return _filled(datatype, shape, np.random.default_rng(SEED))
    empty: Any = 0 if datatype.fixed_size else ""
    return np.full(shape, empty, datatype.numpy)


def _from_file(
    directory: Path, name: str, datatype: DataType, shape: tuple[int, ...]
) -> NDArray[Any]:
    """Read raw elements in the protocol's layout, little-endian; strings with their lengths."""
    data = read_inner(directory, name, most=MAX_BYTES)
    count = math.prod(shape)
    if datatype.fixed_size and len(data) == count * datatype.numpy.itemsize:
        if datatype.numpy.kind == "b":
            return np.frombuffer(data, np.uint8).astype(np.bool_).reshape(shape)
        return np.frombuffer(data, datatype.numpy).reshape(shape)
    strings = None if datatype.fixed_size else _strings(data)
    if strings is None or len(strings) != count:
        raise LoadFailed(f"{name}: {len(data)} bytes are not {datatype.name} {list(shape)}")
    elements = np.empty(count, np.object_)
    elements[:] = strings
    return _text(name, elements.reshape(shape))


def _strings(data: bytes) -> list[bytes] | None:
    """Return length-prefixed strings, or None when the lengths do not add up."""
    found, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : end])
        at = end
    return found if at == len(data) else None


def _text(where: str, array: NDArray[Any]) -> NDArray[Any]:
    """Decode BYTES elements: ONNX Runtime takes strings as text."""
    texts = np.empty(array.size, np.object_)
    try:
        texts[:] = [element.decode() for element in array.ravel()]
    except UnicodeDecodeError as error:
        raise LoadFailed(f"{where} is not valid UTF-8 ({error.reason})") from error
    return texts.reshape(array.shape)
