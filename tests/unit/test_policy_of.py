"""From what a model and the server are configured with to the rules of a queue."""

import pytest

from inferd.config import Inference
from inferd.inference.loading import policy_of
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.scheduling import Mode, Policy
from inferd.runtime.signature import Signature
from support.fake_models import config, tensor

SIGNATURE = Signature((tensor("x", "FP32", -1, 2),), (tensor("y", "FP32", -1, 2),), 8)


def policy(model: ModelConfig | None = None, **inference: object) -> Policy:
    return policy_of(model or config("m"), SIGNATURE, Inference.model_validate(inference), 2)


def queue(**limits: object) -> ModelConfig:
    return config_from({"dynamic_batching": {"default_queue_policy": limits}}, model="m")


@pytest.mark.parametrize(
    ("model", "server", "mode"),
    [
        (None, None, Mode.GOODPUT),
        (None, "fail_fast", Mode.FAIL_FAST),
        ("fifo", None, Mode.FIFO),
        ("goodput", "fifo", Mode.GOODPUT),
    ],
)
def test_a_models_own_scheduling_goes_before_the_servers(
    model: str | None, server: str | None, mode: Mode
) -> None:
    of_model = config("m", scheduling=model) if model else config("m")
    of_server = {"scheduling": server} if server else {}

    assert policy(of_model, **of_server).mode is mode


def test_callers_have_the_shares_that_they_are_configured_with() -> None:
    assert policy().shares == {}
    assert policy(client_weights={"shop": 4, "reports": 0.5}).shares == {"shop": 4, "reports": 0.5}


def test_a_timeout_refuses_or_delays() -> None:
    rejects = policy(queue(default_timeout_microseconds=5000)).default_limits
    delays = policy(queue(default_timeout_microseconds=5000, timeout_action="DELAY")).default_limits

    assert (rejects.timeout_s, rejects.delays) == (0.005, False)
    assert (delays.timeout_s, delays.delays) == (0.005, True)
