"""What things of a category usually cost: the geometric mean of the prices of its items.

A table only ever grows, so each time only the rows are added that are new. Rows that have died stay
in the mean until the catalogue moves to another table: a price that changed counts twice till then.
"""

from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.columns import Table

Floats = npt.NDArray[np.float64]


class _Sums:
    def __init__(self) -> None:
        self.rows = 0
        self.logs = np.zeros(0)
        self.counts = np.zeros(0)


class CategoryPrices:
    """The usual prices, by table. Lives on the event loop."""

    def __init__(self) -> None:
        self._sums: WeakKeyDictionary[Table, _Sums] = WeakKeyDictionary()

    def logs(self, table: Table) -> Floats:
        """Return ln of the usual price by category's code, float64 [codes]; NaN: none is known."""
        sums = self._sums.setdefault(table, _Sums())
        if sums.rows < table.size:
            self._add(sums, table)
        with np.errstate(invalid="ignore"):
            return sums.logs / sums.counts

    def _add(self, sums: _Sums, table: Table) -> None:
        new = slice(sums.rows, table.size)
        prices, codes = table.price_minor[new], table.category[new]
        priced = prices > 0
        codes, logs = codes[priced], np.log(prices[priced])
        size = len(table.categories)
        wider = size - len(sums.logs)
        sums.logs = np.pad(sums.logs, (0, wider)) + np.bincount(codes, logs, size)
        sums.counts = np.pad(sums.counts, (0, wider)) + np.bincount(codes, minlength=size)
        sums.rows = table.size
