"""Experiments in which nothing differs: as many are said to differ as should be."""

from inferd.experiments.selftest import Verdict, simulated


def test_as_many_false_alarms_as_promised() -> None:
    found = simulated(60, units=240)

    assert found.good
    assert found.always_valid <= found.one_look <= found.any_look
    assert found.runs == 60


def test_too_many_false_alarms_are_noticed() -> None:
    right = Verdict(1000, 0.05, one_look=52, any_look=200, always_valid=9, sample_ratio=1)

    assert right.good
    assert not right._replace(one_look=100).good
    assert not right._replace(one_look=5).good
    assert not right._replace(always_valid=100).good
    assert not right._replace(sample_ratio=20).good
