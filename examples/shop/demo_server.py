"""A server for a demonstration: started, and ended with it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shop.demo_fraud import address_of

STOP_S: Final = 20.0


@contextmanager
def serving(directory: Path, config: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Run a server, and yield its address; `settings` are more of its environment.

    Raises `RuntimeError` if it does not start.
    """
    log = directory / "server.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INFERD_")}
    environment |= {"INFERD__SERVER__TRANSPORT": "grpcio", **settings}
    command = [sys.executable, "-m", "inferd", "serve", "--config", str(config)]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--port", "0", "--http-port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            text=True,
            start_new_session=True,
        )
    try:
        yield address_of(process, log)
    finally:
        process.terminate()
        killer = threading.Timer(STOP_S, process.kill)
        killer.start()
        process.wait()
        killer.cancel()
        assert process.stdout is not None
        process.stdout.close()
