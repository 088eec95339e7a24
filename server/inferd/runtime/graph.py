"""What an ONNX graph says of itself, as ONNX Runtime tells it and before anybody believes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """One input or output of the graph."""

    name: str
    #: In ONNX Runtime's words, e.g. `tensor(float)` or `seq(map(int64,tensor(float)))`.
    onnx_type: str
    #: A number, the name of a dynamic dimension, or None for a nameless one. Empty for a
    #: scalar, and also when the graph does not say.
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The outside of a graph, in its own order."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    #: Inputs that may be left out: initializers that a run may override.
    optional_inputs: tuple[GraphTensor, ...] = ()
