"""Whether the inputs of a request fit a model version, before a byte of them is touched.

The good case is a few dictionary look-ups: a shape that was accepted once is remembered
together with its size. Only a request that does not fit is looked at a second time, slowly,
to say everything that is wrong with it at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, Final, NamedTuple, NoReturn

from numpy.typing import NDArray

from inferd.errors import InvalidRequest, Violation
from inferd.runtime.datatypes import BY_NAME
from inferd.runtime.signature import Signature, Tensor

Shape = tuple[int, ...]

Declared = tuple[str, str, Shape]
"""What a request says of one input: its name, the protocol's name of its datatype, its shape."""

_REMEMBERED = 256
"""Accepted shapes kept for one input. When they are more, it starts again from none."""

_NO_LIMIT: Final = 2**48

_LONGEST = 16
"""Violations in one error at most, and dimensions shown of one shape."""

_BATCH_DIMENSION_NOTE = (
    " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to"
    " be prepended to each input shape. If you want to specify the full shape including the"
    " batch dim in your input dims config, try setting max_batch_size to zero. See the model"
    " configuration docs for more info on max_batch_size."
)


class Fit(NamedTuple):
    """The size of an input whose shape was accepted."""

    shape: Shape
    #: The batch dimension; 1 for a model without one.
    rows: int
    elements: int
    #: Bytes on the wire; -1 for BYTES, whose elements tell their own.
    nbytes: int


class Expected:
    """One input of a version, and the shapes of it that were accepted so far."""

    __slots__ = ("_fits", "_max_batch_size", "_max_elements", "datatype", "dtype", "name", "tensor")

    def __init__(self, tensor: Tensor, *, max_batch_size: int, max_elements: int) -> None:
        self.tensor = tensor
        self.name = tensor.name
        self.datatype = tensor.datatype.name
        self.dtype = tensor.datatype.numpy
        self._max_batch_size = max_batch_size
        self._max_elements = max_elements
        self._fits: dict[Shape, Fit] = {}

    def fit(self, shape: Shape) -> Fit | None:
        """Return the size of an input of this shape, None if the model does not take it."""
        return self._fits.get(shape) or self._measure(shape)

    def _measure(self, shape: Shape) -> Fit | None:
        if not _matches(shape, self.tensor.shape) or _volume(shape) > self._max_elements:
            return None
        rows, elements = (shape[0] if self._max_batch_size else 1), prod(shape)
        if rows == 0 or self.too_many_empty_rows(shape):
            return None
        nbytes = elements * self.dtype.itemsize if self.tensor.datatype.fixed_size else -1
        if len(self._fits) >= _REMEMBERED:
            self._fits.clear()
        fit = self._fits[shape] = Fit(shape, rows, elements, nbytes)
        return fit

    def too_many_empty_rows(self, shape: Shape) -> bool:
        """Whether there are more rows that carry nothing than fit into one batch.

        They would cost no bytes to send and many runs to answer.
        """
        return 0 < self._max_batch_size < shape[0] and 0 in shape

    def problem(self, model: str, shape: Shape) -> str:
        """Return what is wrong with a shape that `fit` did not accept."""
        name = f"input '{self.name}' for model '{model}'"
        if any(dimension < 0 for dimension in shape):
            return f"negative dimension in the shape {shown(shape)} of {name}"
        if not _matches(shape, self.tensor.shape):
            note = _BATCH_DIMENSION_NOTE if self._max_batch_size else ""
            return (
                f"unexpected shape for {name}. "
                f"Expected {shown(self.tensor.shape)}, got {shown(shape)}.{note}"
            )
        if self._max_batch_size and shape[0] == 0:
            return f"inference request batch-size must be >= 1 for '{model}', got 0 in {name}"
        if self.too_many_empty_rows(shape):
            return (
                f"inference request batch-size must be <= {self._max_batch_size} for '{model}'"
                f" when its rows are empty, as those of {name} are"
            )
        return (
            f"{name} has {_volume(shape)} elements, "
            f"the limit (inference.max_elements) is {self._max_elements}"
        )


class Checks:
    """What one model version accepts. Built once per version.

    `model` is the name that errors mention, `max_elements` the limit for one tensor.
    """

    def __init__(self, model: str, signature: Signature, *, max_elements: int = _NO_LIMIT) -> None:
        self._model = model
        self._batches = signature.batches
        self.inputs = {
            tensor.name: Expected(
                tensor, max_batch_size=signature.max_batch_size, max_elements=max_elements
            )
            for tensor in signature.inputs
        }
        self.outputs = {tensor.name: tensor for tensor in signature.outputs}
        self._required = tuple(tensor.name for tensor in signature.inputs if not tensor.optional)

    def check(self, declared: Sequence[Declared]) -> tuple[int, list[tuple[Expected, Fit]]]:
        """Return the rows of the request, and for each input in order what it is and its size.

        Raises:
            InvalidRequest: with a violation for everything that does not fit.
        """
        fitted = self._fitted(declared)
        if fitted is None:
            self._refuse(declared)
        return (fitted[0][1].rows if fitted else 1), fitted

    def _fitted(self, declared: Sequence[Declared]) -> list[tuple[Expected, Fit]] | None:
        fitted: list[tuple[Expected, Fit]] = []
        rows = required = 0
        for name, datatype, shape in declared:
            expected = self.inputs.get(name)
            if expected is None or expected.datatype != datatype:
                return None
            fit = expected.fit(shape)
            if fit is None or fit.rows != (rows or fit.rows):
                return None
            rows = fit.rows
            required += not expected.tensor.optional
            fitted.append((expected, fit))
        if required != len(self._required) or (self._batches and not rows):
            return None
        if len(fitted) > 1 and len({name for name, _, _ in declared}) != len(fitted):
            return None
        return fitted

    def check_outputs(self, names: Sequence[str]) -> None:
        """Refuse outputs that the model does not have, and one that is asked for twice.

        Raises:
            InvalidRequest: with a violation for each.
        """
        if len(set(names)) == len(names) and all(name in self.outputs for name in names):
            return
        seen: set[str] = set()
        violations: list[Violation] = []
        for index, name in enumerate(names):
            if len(violations) >= _LONGEST:
                break
            if name not in self.outputs:
                what = "unexpected inference output"
            elif name in seen:
                what = "more than one request for output"
            else:
                seen.add(name)
                continue
            text = f"{what} {quoted(name)} for model '{self._model}'"
            violations.append(Violation(f"outputs[{index}].name", text))
        raise refusal(violations)

    def _refuse(self, declared: Sequence[Declared]) -> NoReturn:
        violations = [*self._number_problems(declared)]
        rows = 0
        seen: set[str] = set()
        for index, (name, datatype, shape) in enumerate(declared):
            if len(violations) >= _LONGEST:
                break
            field, problem = self._input_problem(name, datatype, shape)
            if not problem and name in seen:
                field, problem = "name", f"input '{name}' already exists in request"
            if not problem and self._batches:
                rows = rows or shape[0]
                if shape[0] != rows:
                    problem = f"input '{name}' batch size does not match other inputs"
                    field, problem = "shape", f"{problem} for '{self._model}'"
            if problem:
                violations.append(Violation(f"inputs[{index}].{field}", problem))
            seen.add(name)
        raise refusal(violations)

    def _input_problem(self, name: str, datatype: str, shape: Shape) -> tuple[str, str]:
        expected = self.inputs.get(name)
        if expected is None:
            return "name", f"unexpected inference input {quoted(name)} for model '{self._model}'"
        if expected.datatype != datatype:
            return "datatype", (
                f"inference input '{name}' data-type is {quoted(datatype)}, "
                f"but model '{self._model}' expects '{expected.datatype}'"
            )
        if expected.fit(shape) is None:
            return "shape", expected.problem(self._model, shape)
        return "", ""

    def _number_problems(self, declared: Sequence[Declared]) -> Iterable[Violation]:
        given = list(dict.fromkeys(name for name, _, _ in declared))
        missing = [name for name in self._required if name not in given]
        fewest, most, got = len(self._required), len(self.inputs), len(declared)
        right = (
            f"{most} inputs" if fewest == most else f"number of inputs between {fewest} and {most}"
        )
        text = f"expected {right} but got {got} inputs for model '{self._model}'"
        if missing and got < fewest:
            yield Violation(
                "inputs",
                f"{text}. Got input(s) [{_listed(given)}], but missing required input(s) "
                f"[{_listed(missing)}]. Please provide all required input(s).",
            )
        elif got > most:
            yield Violation("inputs", text)
        elif missing:
            what = f"missing required input(s) [{_listed(missing)}]"
            yield Violation("inputs", f"{what} for model '{self._model}'")
        elif not declared:
            what = "expected at least one input, whose first dimension is the batch size,"
            yield Violation("inputs", f"{what} for model '{self._model}'")


def check_arrays(signature: Signature, model: str, inputs: Mapping[str, NDArray[Any]]) -> int:
    """Check the inputs of an in-process caller and return their rows, 1 without a batch dimension.

    BF16 are uint16 arrays of the bits, BYTES object arrays of `bytes`; `model` is the name
    that errors mention.

    Raises:
        InvalidRequest: with a violation for everything that does not fit.
    """
    rows = found = 0
    for tensor in signature.inputs:
        array = inputs.get(tensor.name)
        if array is None:
            continue
        if array.dtype != tensor.datatype.numpy or not _matches(array.shape, tensor.shape):
            break
        rows = rows or (array.shape[0] if signature.batches else 1)
        if signature.batches and (array.shape[0] != rows or array.size == 0):
            break
        found += 1
    else:
        if found == len(inputs) == len(signature.inputs) > 0:
            return rows
    return Checks(model, signature).check(_declared(signature, inputs))[0]


def check_output_names(signature: Signature, model: str, names: Sequence[str]) -> None:
    """Check the outputs that an in-process caller wants.

    Raises:
        InvalidRequest: with a violation for each that the model does not have.
    """
    if names:
        Checks(model, signature).check_outputs(names)


def _declared(signature: Signature, inputs: Mapping[str, NDArray[Any]]) -> list[Declared]:
    expected = {tensor.name: tensor.datatype for tensor in signature.inputs}
    declared = []
    for name, array in inputs.items():
        datatype = expected.get(name)
        fits = datatype is not None and datatype.numpy == array.dtype
        declared.append((name, datatype.name if fits and datatype else _name(array), array.shape))
    return declared


def _name(array: NDArray[Any]) -> str:
    for name, datatype in BY_NAME.items():
        if datatype.numpy == array.dtype:
            return name
    return str(array.dtype)


def _matches(shape: Shape, expected: Shape) -> bool:
    if len(shape) != len(expected):
        return False
    return (
        all(
            got == want or (want == -1 and got >= 0)
            for got, want in zip(shape, expected, strict=True)
        )
        and min(shape, default=0) >= 0
    )


def _volume(shape: Shape) -> int:
    """Return the elements, counting empty dimensions as one.

    A zero in a shape is not a way around the limit.
    """
    return prod(dimension or 1 for dimension in shape)


def refusal(violations: Sequence[Violation]) -> InvalidRequest:
    """Return the error for all of these; its message says the first three."""
    message = "; ".join(violation.description for violation in violations[:3])
    if len(violations) > 3:
        message += f"; and {len(violations) - 3} more"
    return InvalidRequest(message, violations=violations[:_LONGEST])


def quoted(name: str) -> str:
    """Return a caller's own word in quotes, cut where it would swamp a message."""
    return f"'{name}'" if len(name) <= 100 else f"'{name[:100]}…'"


def shown(shape: Shape) -> str:
    """Return a shape in Triton's notation, e.g. `[-1,16]`."""
    dimensions = ",".join(map(str, shape[:_LONGEST]))
    return f"[{dimensions},…]" if len(shape) > _LONGEST else f"[{dimensions}]"


def _listed(names: Sequence[str]) -> str:
    listed = ",".join(quoted(name) for name in names[:_LONGEST])
    return f"{listed},…" if len(names) > _LONGEST else listed
