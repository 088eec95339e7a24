"""What is broken on purpose, to see what happens."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from inferd.config.section import Section

Address = Annotated[str, Field(pattern=r"^([^:\s]+:\d+|unix:\S+)$")]


class Proxy(Section):
    """A TCP proxy on loopback whose connections can be made slow, short or dead."""

    listen: Annotated[str, Field(pattern=r"^127\.\d+\.\d+\.\d+:\d+$")] = "127.0.0.1:0"
    """Where clients connect. Port 0: any free one; the log says which."""
    upstream: Address
    """What it stands in front of: `host:port`, or `unix:/path`."""


class Faults(Section):
    """Fault injection. Nothing of it can be used unless it is enabled."""

    enabled: bool = False
    by_metadata: bool = False
    """Let callers break things for their own calls (`x-fault: redis=latency:200ms`)."""
    schedule: Path | None = None
    """A YAML file of faults, when they begin and how long they last, from the server's start."""
    proxies: dict[str, Proxy] = Field(default_factory=dict)
    """By name, e.g. `{redis: {listen: 127.0.0.1:7000, upstream: 127.0.0.1:6379}}`."""
