"""A few cells of the chaos suite on fraud decisions. `make chaos` runs all of them.

What is judged here is the same, but for how late things may be: machines that run tests have
other things to do.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from support.chaos.fraud import trial
from support.chaos.fraud.cells import BOUNDED, KILLED, KILLED_ALONE, Cell, bounded
from support.chaos.fraud.world import Bank, house
from support.chaos.remains import Held, held
from support.transports import Transport, needs_envoy

TOLERANCE_S = 0.5
MOST_REFUSED = 0.1


class Banks:
    """A server per transport, which goes through all of its cells."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._kept: dict[Transport, tuple[Bank, Held]] = {}

    def of(self, transport: Transport) -> tuple[Bank, Held]:
        """Return a server that is warm, and what it had then."""
        if transport not in self._kept:
            directory = self._directory / transport
            directory.mkdir()
            at = self._stack.enter_context(house(directory))
            bank = self._stack.enter_context(at.bank(transport))
            trial.warm_up(bank, directory)
            self._kept[transport] = bank, held(bank)
        return self._kept[transport]


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Banks]:
    with ExitStack() as stack:
        yield Banks(tmp_path_factory.mktemp("chaos"), stack)


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
def test_what_breaks_costs_care_and_neither_the_decision_nor_its_record(
    banks: Banks, transport: Transport, cell: Cell, tmp_path: Path
) -> None:
    bank, before = banks.of(transport)
    result = trial.run(bank, cell, tmp_path, before, tolerance_s=TOLERANCE_S)
    if result.spoilt:
        pytest.skip(f"the machine stood still for {result.slack_s:.1f} s")
    assert result.wrong == ()
    assert result.tally.refused < MOST_REFUSED * result.tally.calls + result.tally.held_up


@pytest.mark.parametrize("cell", [KILLED, KILLED_ALONE], ids=lambda cell: cell.name)
def test_what_a_server_acknowledged_before_it_was_killed_is_known_again_and_on_record_once(
    cell: Cell, tmp_path: Path
) -> None:
    with house(tmp_path) as at:
        result = trial.kill(at, cell, tmp_path, "grpcio", tolerance_s=TOLERANCE_S)
    assert result.wrong == ()
    assert result.tally.answered > 0
