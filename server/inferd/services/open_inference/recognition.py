"""Requests that differ from an earlier one in their data only, recognised by what they say.

A request says in a few short fields what it wants: the model, the inputs and their shapes,
the outputs, parameters. Most callers say the same every time. So what a request says is taken
as one string of bytes, and what was made of that string before need not be made again: that is
quicker than to read the fields one by one, let alone to check them.
"""

from typing import TYPE_CHECKING, NamedTuple

from inferd.inference.request import Tensors
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.open_inference.exchange import Exchange, Question

if TYPE_CHECKING:
    from inferd.inference.version import ModelVersion

_REMEMBERED = 256
"""Requests kept. When they are more, it starts again from none."""
_LONGEST = 4096
"""Bytes that a request may use up for what it says, to be kept."""


class Understood(NamedTuple):
    """What was made of a request, its data left out."""

    version: "ModelVersion"
    exchange: Exchange
    question: Question


class Recognition:
    """Remembers the requests that have one raw input and nothing special about it."""

    def __init__(self) -> None:
        self._known: dict[bytes, Understood] = {}

    def forget(self) -> None:
        """Know nothing any more: versions come and go."""
        self._known.clear()

    def recall(self, request: pb.ModelInferRequest) -> tuple[Understood, Tensors] | None:
        """Return what was made of its like, and its inputs; None if it has to be read."""
        if len(request.raw_input_contents) != 1:
            return None
        data, said = _taken_apart(request)
        understood = self._known.get(said)
        if understood is not None:
            inputs = understood.exchange.plain_inputs(understood.question, data)
            if inputs is not None:
                return understood, inputs
        request.raw_input_contents.append(data)
        return None

    def remember(self, request: pb.ModelInferRequest, understood: Understood) -> None:
        """Keep what was made of a request, if that can serve for others, too."""
        if not understood.question.plain or len(request.raw_input_contents) != 1:
            return
        data, said = _taken_apart(request)
        request.raw_input_contents.append(data)
        if len(said) > _LONGEST:
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[said] = understood


def _taken_apart(request: pb.ModelInferRequest) -> tuple[bytes, bytes]:
    """Take its data out of a request; return them, and what it says apart from its id."""
    data = request.raw_input_contents[0]
    request.ClearField("raw_input_contents")
    request_id = request.id
    if not request_id:
        return data, request.SerializeToString()
    request.ClearField("id")
    said = request.SerializeToString()
    request.id = request_id
    return data, said
