"""The server that is broken: the shop's own fraud decisions, with Redis behind them.

As configs/shop/fraud.yaml has it, but for this: features and assessments are in a Redis behind the
server's proxy, all alerts go to a webhook, breakers look back a second (a fault lasts a second
here), and there is a bulkhead.
"""

import itertools
import os
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import yaml
from redis import Redis

from inferd.v1 import fraud_pb2 as pb
from support.chaos.fraud import disk
from support.chaos.fraud.transactions import ASSESS, METHODS, THIEF, transaction
from support.chaos.fraud.webhook import Webhook, webhook
from support.chaos.world import ANSWER_S, BREAKER, CONNECTIONS, World, admin_of, with_examples
from support.redis import RedisServer, running_redis
from support.server import ROOT, Server, eventually, serving
from support.transports import Transport

SHOP = ROOT / "configs" / "shop"
MODELS = ("fraud_trees", "fraud_network", "fraud_unusual")
GUARDS = ("features", "fraud_rules", *(f"fraud_{each}" for each in MODELS))
RATES = {"low": 40.0, "full": 100.0, "burst": 600.0}
"""Calls per second. The last is twice what two cores can decide on."""
MAX_CALLS = 20
"""Of those more than can be decided on in time, most are refused at once."""


class Bank(World):
    """A server that decides on fraud, its Redis, its disk, and whoever takes its alerts."""

    def __init__(self, server: Server, channels: Sequence[Any], house: "House") -> None:
        admin, self._calls = channels
        super().__init__(server, house.redis, admin, house.models)
        self.directory = house.directory
        self.hook = house.hook
        self.epoch_us = house.epoch_us
        self.audit = house.directory / "audit"
        self.rules = house.directory / "fraud_rules.yaml"
        self.fill()

    def fill(self) -> None:
        """Have somebody on the block list, also in a Redis that has forgotten everything."""
        thief = pb.FraudEntity(kind=pb.FraudEntity.USER, value=THIEF)
        entry = pb.ListEntry(list=pb.ListEntry.BLOCK, entity=thief)
        request = pb.AddToListsRequest(entries=[entry])

        def is_taken() -> bool:
            with suppress(grpc.RpcError):  # a breaker is still open, say
                self.call("AddToLists", request, pb.AddToListsResponse)
                return True
            return False

        eventually(is_taken)

    def call(self, method: str, request: Any, response: Any, *, timeout_s: float = ANSWER_S) -> Any:
        """Call `FraudService`."""
        path = f"{METHODS}/{method}"
        serialize = type(request).SerializeToString
        call = self._calls.unary_unary(
            path, request_serializer=serialize, response_deserializer=response.FromString
        )
        return call(request, timeout=timeout_s)

    def assess(self, run: str, number: int) -> pb.Assessment:
        """Ask for a decision."""
        asked = pb.AssessTransactionRequest(transaction=transaction(run, number, self.epoch_us))
        answer: pb.Assessment = self.call(ASSESS.rpartition("/")[2], asked, pb.Assessment)
        return answer

    def reload(self) -> bool:
        """Have rules and policy read again; return whether they were taken."""
        try:
            self.call("ReloadRules", pb.ReloadRulesRequest(), pb.ReloadRulesResponse)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return False
        return True

    def settled(self) -> None:
        """Return when nothing waits to be written any more."""
        eventually(lambda: self.samples("inferd_audit_waiting")["inferd_audit_waiting"] == 0)

    @contextmanager
    def disk(self, told: str) -> Iterator[None]:
        """Have the disk do as it is told for as long as the block lasts."""
        file = self.directory / "disk"
        _told(file, told)
        try:
            yield
        finally:
            _told(file, "")

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Have no file of the server grow beyond what the trail has now, and half a record."""
        room = max(each.stat().st_size for each in self.audit.glob("*.jsonl")) + 300
        before = resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, before)

    def redis_says(self, *command: str) -> None:
        """Give Redis a command, past the proxy."""
        with Redis.from_url(self.redis.url) as redis:
            redis.execute_command(*command)


class House:
    """What outlives a server: its files, Redis, and whoever takes alerts."""

    def __init__(self, directory: Path, redis: RedisServer, hook: Webhook) -> None:
        self.directory = directory
        self.redis = redis
        self.hook = hook
        self.models = directory / "models"
        self._starts = itertools.count(1)
        self.epoch_us = round((time.time() - 60) * 1e6)
        for name in MODELS:
            shutil.copytree(ROOT / "model_repository" / name, self.models / name)
        for name in ("fraud_rules.yaml", "fraud_policy.yaml"):
            shutil.copy(SHOP / name, directory / name)

    @contextmanager
    def bank(
        self, transport: Transport, *, on_failure: str = "answer", exit_code: int = 0
    ) -> Iterator[Bank]:
        """Run a server for as long as the block lasts."""
        config = self._config(on_failure)
        everything = ("--control-mode", "explicit", "--load-model", "*")
        known = os.pathsep.join([str(self.directory), with_examples()["PYTHONPATH"]])
        told = disk.environment(self.directory, self.directory / "disk")
        with (
            serving(
                self.directory,
                *("--config", str(config), *everything),
                repository=self.models,
                transport=transport,
                environment={"PYTHONPATH": known, **told},
                exit_code=exit_code,
            ) as server,
            grpc.insecure_channel(admin_of(server)) as admin,
            grpc.insecure_channel(server.address) as calls,
        ):
            yield Bank(server, (admin, calls), self)

    def _config(self, on_failure: str) -> Path:
        """Write the configuration: the shop's, and what is different here."""
        config = yaml.safe_load((SHOP / "fraud.yaml").read_text())
        # Each time another: a server that is killed leaves its own behind.
        proxy = self.directory / f"proxy-{next(self._starts)}.sock"
        definitions = ROOT / "examples" / "shop" / "definitions.yaml"
        config["features"] = {"definitions": str(definitions), "store": "redis"}
        config["repository"] = {"paths": []}
        config["redis"] = {"url": f"unix://{proxy}", "connections": CONNECTIONS}
        config["admin"] = {"enabled": True, "port": 0}
        config["fraud"]["idempotency"] = {"store": "redis"}
        config["fraud"]["audit"] |= {"path": "audit", "on_failure": on_failure}
        config["fraud"]["alerts"] = {
            "window_s": 0,
            "log": {"enabled": False},
            "webhook": {"url": f"http://127.0.0.1:{self.hook.port}/", "timeout_ms": 500},
        }
        config["resilience"] = {
            "dependencies": {each: {"breaker": {**BREAKER, "open_max_s": 1.0}} for each in GUARDS},
            "model_breaker": {**BREAKER, "open_max_s": 1.0},
            "bulkheads": {"inferd.v1.FraudService": {"max_calls": MAX_CALLS}},
        }
        upstream = f"unix:{self.redis.socket}"
        config["faults"] = {
            "enabled": True,
            "proxies": {"redis": {"listen": f"unix:{proxy}", "upstream": upstream}},
        }
        path = self.directory / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        return path


@contextmanager
def house(directory: Path) -> Iterator[House]:
    """Run all that a server needs, for as long as the block lasts."""
    with running_redis(directory) as redis, webhook() as hook:
        yield House(directory, redis, hook)


def _told(file: Path, what: str) -> None:
    """Write at once: whoever reads gets what was there before, or this."""
    beside = file.with_suffix(".new")
    beside.write_text(what)
    beside.rename(file)
