"""A few cells of the chaos suite on recommendations: a list for everybody, whatever breaks."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from support.chaos.recommendation import trial
from support.chaos.recommendation.cells import BOUNDED, Cell, bounded
from support.chaos.recommendation.world import House, house
from support.chaos.remains import Held, held
from support.transports import Transport, needs_envoy

TOLERANCE_S = 0.5
MOST_REFUSED = 0.1


class Houses:
    """A server per transport, which goes through all of its cells."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._kept: dict[Transport, tuple[House, Held]] = {}

    def of(self, transport: Transport) -> tuple[House, Held]:
        """Return a server that is warm, and what it had then."""
        if transport not in self._kept:
            directory = self._directory / transport
            it = self._stack.enter_context(house(directory, transport))
            trial.warm_up(it, directory)
            self._kept[transport] = it, held(it)
        return self._kept[transport]


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    with ExitStack() as stack:
        yield Houses(tmp_path_factory.mktemp("chaos"), stack)


def of_each() -> list[ParameterSet]:
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
    ]


@pytest.mark.parametrize(("transport", "cell"), of_each())
def test_what_breaks_costs_care_and_no_list(
    houses: Houses, transport: Transport, cell: Cell, tmp_path: Path
) -> None:
    it, before = houses.of(transport)
    result = trial.run(it, cell, tmp_path, before, tolerance_s=TOLERANCE_S)
    if result.spoilt:
        pytest.skip(f"the machine stood still for {result.slack_s:.1f} s")
    assert result.wrong == ()
    assert result.refused < MOST_REFUSED * result.tally.calls + result.tally.held_up
    assert result.tally.answered > 0
