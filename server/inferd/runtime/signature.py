"""What goes into a model and what comes out, in the protocol's terms."""

from dataclasses import dataclass

from inferd.runtime.datatypes import DataType


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output. `shape` has the batch dimension, if the model batches; -1 is any."""

    name: str
    datatype: DataType
    shape: tuple[int, ...]
    #: An input that may be left out: the graph has a default for it.
    optional: bool = False
    #: The graph takes the elements of all requests in a batch as one flat list.
    ragged: bool = False
    #: For the classification extension: the label of each index, in order.
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and outputs of one model version."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    #: Rows in a batch at most; 0 when the model has no batch dimension.
    max_batch_size: int
    #: The rows that a run may have, ascending; batches in between are filled up to the next.
    #: Empty: any from 1 to `max_batch_size`.
    batch_sizes: tuple[int, ...] = ()

    @property
    def batches(self) -> bool:
        """Whether the first dimension of every tensor counts rows."""
        return self.max_batch_size > 0
