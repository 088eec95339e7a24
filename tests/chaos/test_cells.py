"""A few cells of the chaos suite, on both transports. `make chaos` runs all of them.

What is judged here is the same, but for how late things may be: machines that run tests have
other things to do.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from support.chaos import trial
from support.chaos.cells import BOUNDED, LEAVING, Cell, bounded
from support.chaos.faults import BREAKS
from support.chaos.remains import Held, held
from support.chaos.world import World, world
from support.transports import Transport, needs_envoy

TOLERANCE_S = 0.5


class Worlds:
    """A server per transport, which goes through all of its cells."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._kept: dict[Transport, tuple[World, Held]] = {}

    def of(self, transport: Transport) -> tuple[World, Held]:
        """Return a server that is warm, and what it had then."""
        if transport not in self._kept:
            it = self._stack.enter_context(world(self._of(transport), transport))
            trial.warm_up(it, self._of(transport), BREAKS["trend"]["killed"])
            self._kept[transport] = it, held(it)
        return self._kept[transport]

    def _of(self, transport: Transport) -> Path:
        directory = self._directory / transport
        directory.mkdir(exist_ok=True)
        return directory


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with ExitStack() as stack:
        yield Worlds(tmp_path_factory.mktemp("chaos"), stack)


def of_each(*, leaving: bool) -> list[ParameterSet]:
    """Return the cells with their transports, as pytest wants them."""
    return [
        pytest.param(
            transport,
            cell,
            id=f"{transport}: {cell.name}",
            marks=[needs_envoy] if transport == "envoy" else [],
        )
        for transport in BOUNDED
        for cell in bounded(transport)
        if (cell in LEAVING) is leaving
    ]


@pytest.mark.parametrize(("transport", "cell"), of_each(leaving=False))
def test_what_breaks_costs_an_ingredient_and_not_the_answer(
    worlds: Worlds, transport: Transport, cell: Cell, tmp_path: Path
) -> None:
    it, before = worlds.of(transport)
    result = trial.run(it, cell, tmp_path, before, tolerance_s=TOLERANCE_S)
    if result.spoilt:
        pytest.skip(f"the machine stood still for {result.slack_s:.1f} s")
    assert result.wrong == ()
    assert result.tally.lost == 0
    assert result.tally.answered > 0.9 * (result.tally.calls - result.tally.held_up)


@pytest.mark.parametrize(("transport", "cell"), of_each(leaving=True))
def test_whoever_calls_a_server_that_leaves_is_answered_or_told(
    transport: Transport, cell: Cell, tmp_path: Path
) -> None:
    with world(tmp_path, transport) as it:
        result = trial.leave(it, cell, tmp_path, tolerance_s=TOLERANCE_S)
    assert result.wrong == ()
    assert result.tally.lost == 0
