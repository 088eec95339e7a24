"""Calls that end otherwise than by their answer: the caller leaves, time runs out, we stop."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from inferd.call import Call
from inferd.services.status import DETAILS, Code, Refusal
from inferd.transport.envoy.messages import framed
from inferd.transport.envoy.watch import FIRST_ASKED_S, LOOK_S, MOST_SELDOM_S
from support.echo import a_note
from unit.envoy.host import Bench, Headers, Host, Patient

STOPPED = Refusal(Code.CANCELLED, "the server has stopped", ())
KINDS = ["SayOnce", "Collect", "Expand", "Converse"]


async def moments(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def begun(patient: Patient, host: Host) -> None:
    await asyncio.wait_for(patient.begun.wait(), 1.0)
    await host.settled()


def nothing_said(host: Host) -> bool:
    return (host.status, host.body, host.trailers) == (0, b"", None)


# The caller leaves.


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("sent", [b"", framed(a_note("hello"))[:7]])
async def test_a_caller_who_leaves_before_the_message_is_there(name: str, sent: bytes) -> None:
    bench = Bench()
    host = bench.open(name)
    host.bring(sent, more=True)
    await host.settled()
    host.leave()

    await host.ended()

    assert nothing_said(host)
    assert bench.counted(name) == ({} if name in ("SayOnce", "Expand") else {"CANCELLED": 1})


@pytest.mark.parametrize("name", KINDS)
async def test_a_caller_who_leaves_while_its_call_runs(name: str) -> None:
    patient = Patient(cleaning_s=0.5)
    bench = Bench(patient)
    host = bench.say("a", name)
    await begun(patient, host)
    host.leave()

    await host.ended()

    assert patient.cleaned_at == pytest.approx(patient.cancelled_at + 0.5)
    assert bench.counted(name) == {"CANCELLED": 1}


async def test_a_caller_who_leaves_an_open_stream_is_missed_at_once() -> None:
    patient = Patient()
    bench = Bench(patient)
    host = bench.open("Converse")
    host.bring(framed(a_note("a")), more=True)
    await begun(patient, host)
    host.leave()

    await host.ended()

    assert patient.cancelled_at == bench.now() == 0.0


@pytest.mark.parametrize("complete", [True, False])
async def test_a_caller_who_leaves_when_nobody_takes_what_it_sends(complete: bool) -> None:
    bench = Bench(Patient())
    host = bench.open("Converse")
    for _ in range(9):
        host.bring(framed(a_note("a")) * 9, more=True)
    if complete:
        host.bring(b"")
    await moments(0.1)
    host.leave()

    await host.ended()

    assert bench.counted("Converse") == {"CANCELLED": 1}


async def test_a_caller_who_leaves_between_two_answers() -> None:
    bench = Bench()
    host = bench.open("Converse")
    host.bring(framed(a_note("a")), more=True)
    await host.settled()
    assert host.answers == ["a"]
    host.leave()

    await host.ended()

    assert bench.counted("Converse") == {"CANCELLED": 1}


@pytest.mark.parametrize("name", ["Expand", "Converse"])
async def test_a_caller_who_leaves_without_reading(name: str) -> None:
    bench = Bench()
    host = bench.open(name)
    host.reading = False
    host.bring(framed(a_note("a b c")), more=name == "Converse")
    await moments(5.0)
    assert bench.pipeline.in_flight == 1
    host.leave()

    await host.ended()

    assert nothing_said(host)
    assert bench.counted(name) == {"CANCELLED": 1}
    assert bench.echo.closed == (name == "Expand")


@pytest.mark.parametrize("name", ["SayOnce", "Collect"])
async def test_a_caller_who_left_as_its_answer_was_ready(name: str) -> None:
    async def act(request: Any, call: Call) -> Any:
        host.leave()
        return request

    bench = Bench(act)
    host = bench.say("a", name)

    await host.ended()

    assert nothing_said(host)
    assert sum(bench.counted(name).values()) == 1


async def test_a_caller_who_left_as_its_refusal_was_ready() -> None:
    bench = Bench()
    host = bench.open(more=[(b"grpc-encoding", b"snappy")])
    host.leave()

    await host.ended()

    assert nothing_said(host)


# Whether it has left is asked ever more seldom.


async def test_a_fast_call_is_never_asked_about() -> None:
    async def act(request: Any, call: Call) -> Any:
        await moments(FIRST_ASKED_S - LOOK_S / 2)
        return request

    host = await Bench(act).say("a").ended()

    assert len(host.asked_at) == 1  # for the message


@pytest.mark.parametrize("name", ["SayOnce", "Expand", "Collect", "Converse"])
async def test_a_long_call_is_asked_about_ever_more_seldom(name: str) -> None:
    patient = Patient()
    host = Bench(patient).say("a", name)
    await moments(10.0)
    host.leave()
    await host.ended()

    asked_at = [at for at in host.asked_at if at > 0]  # before, it was for the message
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    expected = [min(FIRST_ASKED_S * 2**n, MOST_SELDOM_S) for n in range(1, len(pauses) + 1)]
    assert asked_at[0] == pytest.approx(FIRST_ASKED_S, abs=LOOK_S)
    assert pauses == pytest.approx(expected, abs=1.01 * LOOK_S)
    assert expected[-1] == MOST_SELDOM_S


async def test_nobody_looks_when_there_is_nothing_to_look_after() -> None:
    bench = Bench()
    await bench.say("a").ended()
    await moments(1.0)

    timers = [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]  # type: ignore[attr-defined]

    assert timers == []


async def test_an_open_stream_is_asked_about_once() -> None:
    patient = Patient()
    bench = Bench(patient)
    host = bench.open("Converse")
    host.bring(framed(a_note("a")), more=True)
    await begun(patient, host)
    asked_at = [*host.asked_at]
    await moments(10.0)

    assert host.asked_at == asked_at  # the reader has asked, and waits
    host.leave()
    await host.ended()


# The deadline passes.

IN_TIME: Headers = [(b"grpc-timeout", b"300m")]
DUE_S = 0.3


def overdue(host: Host) -> bool:
    details = host.said.get(DETAILS, b"")
    assert isinstance(details, bytes)
    return host.code == Code.DEADLINE_EXCEEDED and b"DEADLINE_EXCEEDED" in details


@pytest.mark.parametrize("name", KINDS)
async def test_a_deadline_that_passes_before_the_message_is_there(name: str) -> None:
    bench = Bench()
    host = bench.open(name, more=IN_TIME)
    host.bring(framed(a_note("hello"))[:7], more=True)

    await host.ended()

    assert overdue(host)
    assert DUE_S <= bench.now() <= DUE_S + LOOK_S
    streams = name in ("Collect", "Converse")
    assert bench.counted(name) == ({"DEADLINE_EXCEEDED": 1} if streams else {})


@pytest.mark.parametrize("name", KINDS)
async def test_a_deadline_that_passes_while_the_call_runs(name: str) -> None:
    patient = Patient()
    bench = Bench(patient)
    host = bench.say("a", name, more=IN_TIME)

    await host.ended()

    assert overdue(host)
    assert host.trailers_only == (name != "Expand")
    assert DUE_S <= patient.cancelled_at <= DUE_S + LOOK_S
    assert bench.counted(name) == {"DEADLINE_EXCEEDED": 1}


@pytest.mark.parametrize("name", KINDS)
async def test_a_call_that_cleans_up_is_left_alone(name: str) -> None:
    patient = Patient(cleaning_s=5.0)
    host = Bench(patient).say("a", name, more=IN_TIME)

    await host.ended()

    assert overdue(host)
    assert patient.cleaned_at == pytest.approx(patient.cancelled_at + 5.0)


async def test_a_deadline_that_passes_while_a_caller_does_not_read() -> None:
    bench = Bench()
    host = bench.open("Expand", more=IN_TIME)
    host.reading = False
    host.bring(framed(a_note("a b c")))

    await host.ended()
    assert nothing_said(host)
    assert bench.counted("Expand") == {"DEADLINE_EXCEEDED": 1}
    host.read()
    await host.settled()

    assert overdue(host)
    assert host.answers == ["a"]
    assert host.faults == []


async def test_a_caller_who_leaves_after_its_deadline_without_having_read() -> None:
    host = Bench().open("Expand", more=IN_TIME)
    host.reading = False
    host.bring(framed(a_note("a b c")))
    await host.ended()
    host.leave()
    await host.settled()

    assert nothing_said(host)
    assert host.faults == []


async def test_a_message_that_comes_with_the_deadline_is_too_late() -> None:
    bench = Bench()
    host = bench.open(more=IN_TIME)
    await moments(DUE_S + LOOK_S / 2)
    host.bring(framed(a_note("hello")))

    await host.ended()

    assert overdue(host)


@pytest.mark.parametrize("name", ["SayOnce", "Expand"])
async def test_a_message_that_comes_after_the_refusal_is_not_looked_at(name: str) -> None:
    bench = Bench()
    host = bench.open(name, more=IN_TIME)
    host.reading = False  # so that the refusal is on its way for a while
    await moments(2 * DUE_S)
    host.bring(framed(a_note("hello")))
    await host.ended()
    host.read()

    assert overdue(host)
    assert bench.echo.calls == []


# We stop.


@pytest.mark.parametrize("name", KINDS)
async def test_stragglers_hear_that_the_server_has_stopped(name: str) -> None:
    patient = Patient()
    bench = Bench(patient)
    arriving, running = bench.open(name), bench.say("a", name)
    await begun(patient, running)

    await bench.stop(STOPPED)

    for host in (arriving, running):
        await host.ended()
        # Who streams has its stream ended at the beginning of the drain, and hears of that.
        assert host.code in (Code.CANCELLED, Code.UNAVAILABLE)
    assert running.message == "the server has stopped"
    assert "CANCELLED" in bench.counted(name)


@pytest.mark.parametrize("name", KINDS)
async def test_who_comes_after_everybody_was_sent_away_is_sent_away(name: str) -> None:
    bench = Bench(Patient(), unconditional=tuple(KINDS))
    await bench.stop(STOPPED)

    host = await bench.say("a", name).ended()

    assert (host.code, host.message) == (Code.CANCELLED, "the server has stopped")
    assert bench.counted(name) in ({}, {"CANCELLED": 1})


async def test_a_straggler_that_is_late_as_well_hears_one_thing() -> None:
    patient = Patient(cleaning_s=5.0)
    bench = Bench(patient)
    host = bench.say("a", more=IN_TIME)
    await moments(2 * DUE_S)

    await bench.stop(STOPPED)

    assert overdue(await host.ended())
    assert patient.cleaned_at == pytest.approx(patient.cancelled_at + 5.0)


# Those who share a server are strangers.


async def test_a_caller_who_reads_slowly_holds_up_nobody_else() -> None:
    bench = Bench()
    slow = bench.open("Expand")
    slow.reading = False
    slow.bring(framed(a_note("a b c")))

    await moments(1.0)
    other = await bench.say("a b c", "Expand").ended()
    slow.read()
    await slow.ended()

    assert other.answers == slow.answers == ["a", "b", "c"]


async def test_a_stream_is_read_no_further_than_it_is_handled() -> None:
    patient = Patient()
    bench = Bench(patient)
    host = bench.open("Converse")
    for text in "abcdefgh":
        host.bring(framed(a_note(text)), more=True)
        await host.settled()

    # One is handled, one waits, one waits to be taken, and one may come meanwhile.
    assert len(host.asked_at) <= 4
    patient.go_on.set()
    host.bring(b"")
    await host.ended()
    assert host.answers == list("abcdefgh")


async def test_whoever_leaves_takes_nobody_along() -> None:
    patient = Patient()
    bench = Bench(patient)
    hosts = [bench.say(str(n), KINDS[n % 4]) for n in range(40)]
    await hosts[0].settled()
    for host in hosts[::3]:
        host.leave()
    await moments(3 * MOST_SELDOM_S)
    patient.go_on.set()

    for n, host in enumerate(hosts):
        await host.ended()
        assert host.answers == ([str(n)] if n % 3 else host.answers)
    for name in KINDS:
        codes = bench.counted(name)
        assert codes["OK"] + codes["CANCELLED"] == 10
