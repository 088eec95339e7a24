"""The server that is broken, what it depends on, and the ways to look at both.

The example cascade as it is, but for three things: its Redis is behind the server's own proxy, its
breakers look back a second and not ten (a fault lasts a second here), and a run of its full model
takes 10 ms, so that this decides what it can serve, and not the cores of this machine.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from redis import Redis

from cascade.catalogue import key, taste
from inferd.v1 import admin_pb2 as admin
from inferd_client import Client
from support.chaos.history import ITEMS, USERS
from support.redis import RedisServer, running_redis
from support.server import ROOT, Server, serving
from support.transports import Transport

EXAMPLES = ROOT / "examples"
REPOSITORY = EXAMPLES / "cascade" / "model_repository"

RUN_MS = 10.0
INSTANCES = 2
"""So the full model can serve 200 calls per second, each of which fills a run. The server counts
on some 165: it keeps a margin to what it has seen."""

MINIMUM_CALLS = 20
BREAKER = {"window_s": 1.0, "minimum_calls": MINIMUM_CALLS}
"""What breakers judge by."""
CONNECTIONS = 4
"""To Redis, at most."""

RANKER = f"""
max_batch_size: {ITEMS}
version_policy: {{ latest {{ num_versions: 2 }} }}
instance_group [ {{ count: {INSTANCES} }} ]
parameters {{ key: "inferd.batch_buckets" value {{ string_value: "{ITEMS}" }} }}
parameters {{ key: "inferd.finite_outputs" value {{ string_value: "true" }} }}
"""

ANSWER_S = 20.0
_ADMIN = re.compile(r"^  admin +(?P<address>\S+)$", re.MULTILINE)
_METHODS = {each.name: each for each in admin.DESCRIPTOR.services_by_name["AdminService"].methods}


class World:
    """A server under test, its Redis, and its admin port."""

    def __init__(self, server: Server, redis: RedisServer, channel: Any, models: Path) -> None:
        self.server = server
        self.redis = redis
        #: Its model repository: a copy, that may be changed.
        self.models = models
        self._channel = channel

    def fill(self) -> None:
        """Put everybody's taste into Redis."""
        self._set(lambda name: taste(name).tobytes())

    def spoil(self) -> None:
        """Put nonsense there."""
        self._set(lambda name: b"\xff" * len(taste(name).tobytes()))

    def _set(self, value: Callable[[str], bytes]) -> None:
        names = [f"user-{number}" for number in range(USERS)]
        with Redis.from_url(self.redis.url) as redis:
            redis.mset({key(name): value(name) for name in names})

    def ask(self, method: str, **fields: Any) -> Any:
        """Ask `AdminService` something."""
        types = _METHODS[method]
        request = getattr(admin, types.input_type.name)(**fields)
        answer = getattr(admin, types.output_type.name)
        call = self._channel.unary_unary(
            f"/inferd.v1.AdminService/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return call(request, timeout=ANSWER_S)

    @contextmanager
    def broken(self, point: str, kind: str, **parameters: Any) -> Iterator[None]:
        """Have a fault at a point for as long as the block lasts."""
        number = self.inject(point, kind, **parameters)
        yield
        self.ask("ClearFaults", id=number)

    def inject(self, point: str, kind: str, **parameters: Any) -> int:
        """Have a fault at a point until it is cleared; return its number."""
        of_any = {name: parameters.pop(name) for name in ("flap_s", "share") if name in parameters}
        number: int = self.ask("InjectFault", fault={"point": point, kind: parameters, **of_any}).id
        return number

    def unload(self, model: str) -> None:
        """Delete a model, as a client can."""
        with Client(self.server.address) as client:
            client.unload_model(model, timeout_s=ANSWER_S)

    def load(self, model: str) -> None:
        """Return when a model is ready again."""
        with Client(self.server.address) as client:
            client.load_model(model, timeout_s=ANSWER_S)

    def breakers(self) -> dict[str, Any]:
        """Return all breakers by name, those of model versions included."""
        return {each.name: each.breaker for each in self.dependencies()} | {
            f"model/{each.model}/{each.version}": each.breaker for each in self.versions()
        }

    def dependencies(self) -> Sequence[Any]:
        """Return all dependencies."""
        found: Sequence[Any] = self.ask("ListDependencies").dependencies
        return found

    def versions(self) -> Sequence[Any]:
        """Return all versions of all models, with their instances."""
        found: Sequence[Any] = self.ask("ListInstances").versions
        return found

    def states(self, model: str) -> set[str]:
        """Return the states that the versions of a model are in."""
        return {each.state for each in self.versions() if each.model == model}

    def samples(self, *names: str) -> dict[str, float]:
        """Return the samples of metrics, all of one moment, by how they are written."""
        page = self.server.get("/metrics")
        found = re.findall(rf"^((?:{'|'.join(names)})(?:\{{.*\}})?) (\S+)$", page, re.MULTILINE)
        return {sample: float(value) for sample, value in found}


def admin_of(server: Server) -> str:
    """Return the address that a server announces for its admin service."""
    found = _ADMIN.search(server.announcement)
    assert found is not None, server.announcement
    return found["address"]


def with_examples() -> dict[str, str]:
    """Return what to add to the environment of a process that is to know examples and tests."""
    known = (str(EXAMPLES), str(ROOT / "tests"), os.environ.get("PYTHONPATH"))
    return {"PYTHONPATH": os.pathsep.join(filter(None, known))}


def _config(directory: Path, redis: RedisServer, proxy: Path) -> Path:
    """Write the server's configuration: the example's, and what is different here."""
    config = yaml.safe_load((EXAMPLES / "cascade" / "config.yaml").read_text())
    dependencies = config["resilience"]["dependencies"]
    for name in ("tastes", "trend", "ranker", "ranker_small", "ranker_previous", "order"):
        breaker = dependencies.setdefault(name, {}).setdefault("breaker", {})
        breaker |= BREAKER
    config["resilience"]["model_breaker"] = BREAKER
    config["repository"] |= {"poll_s": 0.1, "settle_s": 0.0}
    config["redis"] = {"url": f"unix://{proxy}", "connections": CONNECTIONS}
    config["admin"] |= {"port": 0}
    config["faults"] = {
        "enabled": True,
        "proxies": {"redis": {"listen": f"unix:{proxy}", "upstream": f"unix:{redis.socket}"}},
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def world(
    directory: Path, transport: Transport, *, control_mode: str = "explicit"
) -> Iterator[World]:
    """Start everything, for as long as the block lasts."""
    models = directory / "models"
    shutil.copytree(REPOSITORY, models)
    (models / "ranker" / "config.pbtxt").write_text(RANKER)
    with running_redis(directory) as redis:
        config = _config(directory, redis, directory / "proxy.sock")
        everything = ("--load-model", "*") if control_mode == "explicit" else ()
        with (
            serving(
                directory,
                *("--config", str(config), "--control-mode", control_mode, *everything),
                repository=models,
                transport=transport,
                environment=with_examples(),
            ) as server,
            grpc.insecure_channel(admin_of(server)) as channel,
        ):
            it = World(server, redis, channel, models)
            it.fill()
            it.inject("model.ranker", "latency", ms=RUN_MS)
            yield it
