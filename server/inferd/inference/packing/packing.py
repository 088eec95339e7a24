"""What every packing can do."""

from collections.abc import Hashable, Sequence
from typing import Protocol

from inferd.inference.request import Tensors


class Member(Protocol):
    """One request in a batch."""

    @property
    def inputs(self) -> Tensors:
        """The request's own tensors, `rows` rows each."""

    @property
    def rows(self) -> int:
        """Rows; 1 for a model that does not batch."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs it wants."""


class Packing(Protocol):
    """Puts requests together and takes outputs apart. Has no state; any thread may use it."""

    def key(self, inputs: Tensors) -> Hashable:
        """Return what requests must have in common to share a batch.

        Raises `InvalidRequest` for inputs that fit one by one and not together.
        """

    def pack(self, members: Sequence[Member]) -> tuple[Tensors, int]:
        """Return the inputs of a run of `members`, of one key, and its rows of padding."""

    def unpack(self, members: Sequence[Member], outputs: Tensors) -> list[Tensors]:
        """Give every member its own part of the outputs it wants, as views.

        Raises `ModelFailed` when there are not as many rows as went in.
        """
