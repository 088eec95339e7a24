"""First come, first served, without a bound: the rule of most servers.

Triton, TorchServe, TensorFlow Serving, KServe, Ray Serve, MLServer and LitServe have it in common
that a batch leaves when it is full or when its oldest member has waited for some time, in order
of arrival, whatever the deadlines. The discipline is the server's own `Fifo`.
"""

import sys
from dataclasses import replace

from inferd.inference.scheduling import Discipline, Fifo, Level
from inferd_perf.simulation.setting import Setting

#: How long the first waits for company: without an age to give up at, and with one.
DELAY_S, AGE_DELAY_S = 0.0, 0.002
#: The age at which a request is dropped, as a share of the median deadline; most use all of it.
AGE = 0.5


def fifo(setting: Setting, *, delay_s: float = DELAY_S) -> Discipline:
    """Return a queue that nobody is dropped from."""
    policy = replace(setting.policy, max_queue=sys.maxsize, max_delay_s=delay_s)
    return Fifo(policy, setting.latency)


def fifo_age(setting: Setting, *, age: float = AGE, delay_s: float = AGE_DELAY_S) -> Discipline:
    """Return a queue that drops those who have waited for `age` of the median deadline.

    Triton calls that a queue policy's timeout, LitServe and TorchServe a request's. It knows
    of no run times: who is about to be late is run.
    """
    policy = replace(
        setting.policy,
        max_queue=sys.maxsize,
        max_delay_s=delay_s,
        default_limits=Level(timeout_s=age * setting.median_s),
        limits={},
    )
    return Fifo(policy, setting.latency, drop_expired=True)
