"""The repository's RPCs: Triton's dialect, and KServe's where it can be told apart.

KServe's load and unload requests have the model's name in field 1, which is Triton's
`repository_name`. No Triton client sets that without a model's name, so a request with field
1 and no field 2 is KServe's, and is answered with KServe's fields.
"""

from collections.abc import Mapping
from typing import NamedTuple

from inferd.errors import InvalidRequest, Unimplemented
from inferd.inference.checks import quoted
from inferd.inference.version import State
from inferd.oip import grpc_service_pb2 as pb

TRITON_STATE = {
    State.LOADING: "LOADING",
    State.WARMING: "LOADING",
    State.READY: "READY",
    State.DRAINING: "UNLOADING",
    State.UNLOADED: "UNAVAILABLE",
    State.FAILED: "UNAVAILABLE",
}
"""What Triton calls each state of a version."""

_REASON = {State.WARMING: "warming up", State.UNLOADED: "unloaded"}

_FILE = "file:"


class Named(NamedTuple):
    """The model a request is about."""

    model: str
    #: Whether the request came in KServe's dialect, and wants the answer in it.
    kserve: bool


class Override(NamedTuple):
    """What to load instead of what is on disk."""

    #: The model's configuration, JSON text.
    config: str | None
    #: Contents by path in the model's directory, e.g. `1/model.onnx`.
    files: Mapping[str, bytes] | None


def refuse_repository_name(name: str) -> None:
    """Refuse to single out one of the repositories: all are one here, as in Triton."""
    if name:
        raise Unimplemented("'repository_name' specification is not supported")


def named(repository_name: str, model_name: str) -> Named:
    """Return the model that a load or unload request names.

    Raises:
        InvalidRequest: the name is not one.
        Unimplemented: both names are set.
    """
    if not model_name:
        _check_name(repository_name, "repository_name")
        return Named(repository_name, kserve=True)
    refuse_repository_name(repository_name)
    _check_name(model_name, "model_name")
    return Named(model_name, kserve=False)


def _check_name(name: str, field: str) -> None:
    if not name:
        raise InvalidRequest("model name must not be empty", field="model_name")
    if name in {".", ".."} or any(bad in name for bad in "/\\\0"):
        text = f"model name must not contain path traversal characters, got {quoted(name)}"
        raise InvalidRequest(text, field=field)


def override(parameters: Mapping[str, pb.ModelRepositoryParameter]) -> Override:
    """Return what a load request brings along.

    Raises:
        InvalidRequest: a parameter is unknown, of the wrong type, or no path in a model.
    """
    config = None
    files: dict[str, bytes] = {}
    for name, parameter in parameters.items():
        what = parameter.WhichOneof("parameter_choice")
        field = f"parameters[{name[:100]}]"
        if name == "config":
            if what != "string_param":
                raise InvalidRequest("parameter 'config' must be a string_param", field=field)
            config = parameter.string_param
        elif name.startswith(_FILE):
            if what != "bytes_param":
                text = f"parameter {quoted(name)} must be a bytes_param"
                raise InvalidRequest(text, field=field)
            files[_checked_path(name.removeprefix(_FILE), field)] = parameter.bytes_param
        else:
            text = f"unexpected load parameter {quoted(name)}, expected 'config' or 'file:<path>'"
            raise InvalidRequest(text, field=field)
    return Override(config, files or None)


def _checked_path(path: str, field: str) -> str:
    parts = path.split("/")
    if len(parts) < 2 or {"", ".", ".."} & set(parts) or "\\" in path or "\0" in path:
        raise InvalidRequest(
            f"file path {quoted(path)} must be '<version>/<file>' inside the model's directory",
            field=field,
        )
    return path


def check_unload(parameters: Mapping[str, pb.ModelRepositoryParameter]) -> None:
    """Refuse what an unload request cannot ask for. Nothing here depends on another model."""
    for name in parameters:
        if name != "unload_dependents":
            raise InvalidRequest(
                f"unexpected unload parameter {quoted(name)}, expected 'unload_dependents'",
                field=f"parameters[{name[:100]}]",
            )


def index_entry(
    name: str, version: str, state: State, reason: str
) -> pb.RepositoryIndexResponse.ModelIndex:
    """Return a version's line in the index."""
    return pb.RepositoryIndexResponse.ModelIndex(
        name=name,
        version=version,
        state=TRITON_STATE[state],
        reason=reason or _REASON.get(state, ""),
    )
