import pytest

from inferd.resilience.spare import Spare


def test_it_begins_with_what_may_come_at_once() -> None:
    spare = Spare(share=0.25, burst=3)

    assert [spare.spend() for _ in range(5)] == [True, True, True, False, False]


def test_calls_earn_extra_attempts() -> None:
    spare = Spare(share=0.25, burst=1)
    spare.spend()

    spent = []
    for _ in range(12):
        spare.earn()
        spent.append(spare.spend())

    assert spent == [False, False, False, True] * 3


@pytest.mark.parametrize("calls", [10, 1000])
def test_no_more_is_saved_than_may_come_at_once(calls: int) -> None:
    spare = Spare(share=1.0, burst=2)

    for _ in range(calls):
        spare.earn()

    assert spare.tokens == 2


def test_what_cannot_be_spent_is_not_lost() -> None:
    spare = Spare(share=0.5, burst=1)
    spare.spend()
    spare.earn()

    assert not spare.spend()
    spare.earn()
    assert spare.spend()
