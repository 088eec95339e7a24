"""More capacity serves no fewer calls, beyond noise; and nothing gets better with more load."""

import pytest

from inferd_perf.simulation.grid import POLICIES, cell

#: Of all calls: what luck may take away.
NOISE = 0.02


def success(policy: str, load: float, instances: int) -> float:
    """Return the share served of a load that is given as a share of one instance's capacity."""
    found: float = cell(policy, "w2", load / instances, 1, 0.25, instances=instances)["success"]
    return found


@pytest.mark.parametrize("policy", ["inferd-goodput", "inferd-fail-fast", "fifo", "nexus"])
def test_another_instance_does_not_cost_calls(policy: str) -> None:
    assert policy in POLICIES
    shares = [success(policy, 1.4, instances) for instances in (1, 2, 4)]

    assert shares[1] >= shares[0] - NOISE
    assert shares[2] >= shares[1] - NOISE
    assert shares[2] > 0.95


@pytest.mark.parametrize("policy", ["inferd-goodput", "inferd-fail-fast"])
def test_more_load_costs_no_goodput(policy: str) -> None:
    goodput = [cell(policy, "w1", load, 1, 0.3)["goodput_of_capacity"] for load in (1.2, 2, 5)]

    assert min(goodput) > 0.9
