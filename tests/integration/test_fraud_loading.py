"""Fraud decisions begin when models have been loaded, and not before."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inferd.app import features
from inferd.app.fraud_parts import Fraud, FraudAssembly
from inferd.app.settings import load
from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import NotReady
from inferd.v1 import fraud_pb2 as pb
from support.deciding import a_transaction, written
from support.guards import a_toolbox


class Loading:
    """Models that are being loaded, as far as decisions hear of it."""

    def __init__(self) -> None:
        self.serving = False
        self.listeners: list[Callable[[], None]] = []

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self) -> None:
        for each in [*self.listeners]:
            each()


def a_service(directory: Path, models: Any) -> Fraud:
    config, clock = load(written(directory), {}, {}), asyncio.get_running_loop().time
    toolbox = a_toolbox(clock)
    known = features.made(config, None, toolbox, busy=lambda: 0.0, clock=clock)
    assert known is not None
    assembly = FraudAssembly(config, known, models, redis=None, toolbox=toolbox, clock=clock)
    return assembly.made()


async def decision(it: Fraud, id: str) -> int:
    """Return what is decided on a transaction for tests, which no model is asked about."""
    now = asyncio.get_running_loop().time()
    call = Call("/a/b", arrived=now, deadline=Deadline(now + 30))
    request = pb.AssessTransactionRequest(transaction=a_transaction(id))
    answers: Any = it.service.implementation
    assessment: pb.Assessment = await answers.assess_transaction(request, call)
    return assessment.decision


async def test_nothing_is_decided_before_models_have_been_loaded(tmp_path: Path) -> None:
    models = Loading()
    it = a_service(tmp_path, models)

    async with it.running():
        models.tell()  # of one model of several
        with pytest.raises(NotReady, match="models are still being loaded"):
            await decision(it, "test-approve")
        models.serving = True
        models.tell()

        assert await decision(it, "test-approve") == pb.Assessment.APPROVE

    assert models.listeners == []
    await it.closing.aclose()


async def test_models_that_have_been_loaded_before_are_not_waited_for(tmp_path: Path) -> None:
    models = Loading()
    models.serving = True
    it = a_service(tmp_path, models)

    async with it.running():
        assert await decision(it, "test-block") == pb.Assessment.BLOCK

    await it.closing.aclose()
