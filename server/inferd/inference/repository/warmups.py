"""Whether the warm-up requests that a configuration declares fit the model."""

from collections.abc import Iterator

from inferd.inference.repository.problems import Problem, path_of, shown
from inferd.inference.repository.schema import ModelConfig, Warmup
from inferd.runtime.signature import Signature


def warmup_problems(config: ModelConfig, signature: Signature) -> Iterator[Problem]:
    """Yield inputs that are missing, unknown or of another type or shape."""
    for index, warmup in enumerate(config.model_warmup):
        yield from _of_warmup(("model_warmup", index, "inputs"), warmup, signature)


def _of_warmup(
    where: tuple[str | int, ...], warmup: Warmup, signature: Signature
) -> Iterator[Problem]:
    tensors = {each.name: each for each in signature.inputs}
    missing = [
        shown(name)
        for name, tensor in tensors.items()
        if name not in warmup.inputs and not tensor.optional
    ]
    if missing:
        yield path_of(where), f"must have {', '.join(missing)} too"
    for name, each in warmup.inputs.items():
        path = path_of((*where, name))
        tensor = tensors.get(name)
        if tensor is None:
            yield path, "is not an input of the model"
            continue
        if each.data_type not in (None, tensor.datatype.config):
            yield f"{path}.data_type", f"must be {tensor.datatype.config}"
        dims = tensor.shape[1:] if signature.batches else tensor.shape
        if len(dims) != len(each.dims) or any(
            want not in (-1, dim) for want, dim in zip(dims, each.dims, strict=True)
        ):
            yield f"{path}.dims", f"must fit {[*dims]}, got {[*each.dims]}"
