"""A few cells of the chaos suite on search.

What is judged here is the same, but for how late things may be: machines that run tests have
other things to do.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from support.chaos.remains import Held, held
from support.chaos.search import trial
from support.chaos.search.cells import BOUNDED, CELLS, KILLED, Cell
from support.chaos.search.world import House, Shop
from support.transports import Transport, needs_envoy

TOLERANCE_S = 0.5
MOST_REFUSED = 0.1


class Shops:
    """A server per transport, which goes through all of its cells."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._kept: dict[Transport, tuple[Shop, Held]] = {}

    def of(self, transport: Transport) -> tuple[Shop, Held]:
        """Return a server that is warm, and what it had then."""
        if transport not in self._kept:
            directory = self._directory / transport
            shop = self._stack.enter_context(House(directory).shop(transport))
            trial.warm_up(shop, directory)
            self._kept[transport] = shop, held(shop)
        return self._kept[transport]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    with ExitStack() as stack:
        yield Shops(tmp_path_factory.mktemp("chaos"), stack)


def of_each() -> list[ParameterSet]:
    """Return the cells with their transports, as pytest wants them."""
    return [
        pytest.param(
            transport,
            cell,
            id=f"{transport}: {cell.name}",
            marks=[needs_envoy] if transport == "envoy" else [],
        )
        for transport, names in BOUNDED.items()
        for cell in CELLS
        if cell.name in names
    ]


@pytest.mark.parametrize(("transport", "cell"), of_each())
def test_what_breaks_costs_the_best_order_at_most_and_that_is_said(
    shops: Shops, transport: Transport, cell: Cell, tmp_path: Path
) -> None:
    shop, before = shops.of(transport)
    result = trial.run(shop, cell, tmp_path, before, tolerance_s=TOLERANCE_S)
    if result.spoilt:
        pytest.skip(f"the machine stood still for {result.slack_s:.1f} s")
    assert result.wrong == ()
    if cell.load != "burst" and not cell.tiny:
        refused = result.tally.refused - result.left
        assert refused < MOST_REFUSED * result.tally.calls + result.tally.held_up


def test_documents_that_were_acknowledged_before_a_kill_are_there_after_it(tmp_path: Path) -> None:
    result = trial.kill(House(tmp_path), KILLED, tmp_path, "grpcio", tolerance_s=TOLERANCE_S)
    assert result.wrong == ()
    assert result.tally.answered > 0
