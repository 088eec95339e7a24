"""A stage of an endpoint asks a model: as its caller, and with its own time."""

import asyncio
from typing import Any

import numpy as np
import pytest

from inferd.call import Call
from inferd.deadline import NEVER, Deadline
from inferd.errors import InvalidRequest
from inferd.inference.direct import ask
from support.fake_models import FakeVersion

X = {"x": np.ones((3, 2), np.float32)}


def version(**parameters: str) -> Any:
    return FakeVersion(parameters=parameters)


async def asked(it: Any, inputs: Any = None, *outputs: str, **times: Any) -> Any:
    clock = asyncio.get_running_loop().time
    call = times.pop("call", None) or Call("/shop.Shop/Rank", arrived=clock())
    given = X if inputs is None else inputs
    deadline = times.pop("deadline", NEVER)
    return await ask(it, given, outputs, call=call, deadline=deadline, clock=clock)


async def test_the_rows_are_counted_and_the_named_outputs_come() -> None:
    it = version()

    answer = await asked(it, None, "y")

    assert answer["y"].shape == (3, 1)
    assert (it.asked[0].rows, it.asked[0].outputs) == (3, ("y",))


@pytest.mark.parametrize(("own", "callers", "holds"), [(5.0, 9.0, 5.0), (9.0, 5.0, 5.0)])
async def test_the_tighter_deadline_holds(own: float, callers: float, holds: float) -> None:
    it = version()
    call = Call("/m", arrived=0.0, deadline=Deadline(callers))

    await asked(it, None, "y", call=call, deadline=Deadline(own))

    assert it.asked[0].call.deadline == Deadline(holds)


async def test_it_is_the_callers_call_and_begins_when_the_model_is_asked() -> None:
    it, span = version(), object()
    call = Call("/m", arrived=0.0, metadata={"x-criticality": "SHEDDABLE"}, peer="ipv4:1.2.3.4:5")
    call.span = span
    await asyncio.sleep(1.0)

    await asked(it, None, "y", call=call)

    part = it.asked[0].call
    assert (part.method, part.metadata, part.peer) == ("/m", call.metadata, call.peer)
    assert part.span is span
    assert part.arrived == 1.0
    assert call.trailing == []


@pytest.mark.parametrize(
    ("inputs", "outputs", "field"),
    [
        ({}, (), "inputs"),
        ({"x": np.ones((3, 2), np.float64)}, (), "inputs[0].datatype"),
        ({"x": np.ones((3, 7), np.float32)}, (), "inputs[0].shape"),
        (X, ("z",), "outputs[0].name"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name_and_counted(
    inputs: Any, outputs: tuple[str, ...], field: str
) -> None:
    it = version()

    with pytest.raises(InvalidRequest) as refused:
        await asked(it, inputs, *outputs)

    assert refused.value.violations[0].field == field
    assert it.asked == []
    assert it.statistics.failures["OTHER"] == 1


async def test_nan_is_refused_where_the_model_does_not_want_it() -> None:
    poison = {"x": np.array([[1.0, np.nan]], np.float32)}

    with pytest.raises(InvalidRequest, match="input 'x' for model 'm' is not finite"):
        await asked(version(refuse_nan="true"), poison)
    await asked(version(), poison, "y")
