"""How requests become the inputs of one run, and its outputs answers again.

Most models take rows under rows. Some want batches of a few sizes only, some sequences of a
few lengths, some all elements in one flat list. Whatever it takes, nobody's answer depends
on who else is in the batch, but for the rounding of the kernels that a size is computed by.
"""

from inferd.inference.packing.lengths import Lengths
from inferd.inference.packing.packing import Member, Packing
from inferd.inference.packing.ragged import BatchInput, Kind, Ragged
from inferd.inference.packing.rows import ROWS, Rows

__all__ = ["ROWS", "BatchInput", "Kind", "Lengths", "Member", "Packing", "Ragged", "Rows"]
