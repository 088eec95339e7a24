"""The fraud service as an ordinary engineer would write it: every step waits for the one before.

`grpc.aio` on uvloop; a GET for the transaction, a GET for each view of features, the rules, a call
to another server for each of the models, one after the other; then score, policy, and a SET. What
things mean is inferd's own: the same rules, features, models, policy and messages, so that both
sides decide alike. It promises less: there is no budget for any step, nothing stands in for what
fails, and its records are neither chained nor told to the disk.

    python -m baselines.fraud_plain --config configs/shop/fraud.yaml --port 8001 --models 8002
"""

import argparse
import asyncio
import os
import signal
import time
from pathlib import Path
from typing import IO, Any

import grpc
import numpy as np
from redis.asyncio import Redis

from baselines.fraud_plain.aggregates import Aggregates, blob
from inferd.app.settings import load, yaml_file
from inferd.config import Config
from inferd.config.fraud_service import FraudModel
from inferd.errors import InvalidRequest
from inferd.features.aggregates.events import EventWrite
from inferd.features.definitions import US, Definitions
from inferd.features.kinds import Held, Kind
from inferd.features.writing import Limits
from inferd.oip import grpc_service_pb2 as oip
from inferd.services.fraud import messages
from inferd.services.fraud.audit_record import encoded
from inferd.services.fraud.engine import Asked, Decision
from inferd.services.fraud.features import Needs, said
from inferd.services.fraud.intake import Intake, Taken
from inferd.services.fraud.lists import Lists
from inferd.services.fraud.models import Said
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.verdict import after_models, before_models
from inferd.v1 import fraud_pb2 as pb

INFER = "/inference.GRPCInferenceService/ModelInfer"


def now_us() -> int:
    """Return the time of day."""
    return round(time.time() * US)  # noqa: TID251 - events have times of day


class PlainFraud:
    """Decides on one transaction, step by step."""

    def __init__(
        self, config: Config, redis: "Redis", models: grpc.aio.Channel, records: IO[bytes]
    ) -> None:
        settings, features = config.fraud, config.features
        assert settings.rules is not None
        assert settings.policy is not None
        assert features.definitions is not None
        path = features.definitions
        definitions = Definitions.read(yaml_file(path), files_in=path.parent)
        self._settings = settings
        self._definitions = definitions
        self._redaction = Redaction(settings.audit)
        metadata = {key: Kind.named(kind) for key, kind in settings.metadata.items()}
        ahead_us = round(settings.max_future_s * US)
        self._intake = Intake(metadata, self._redaction, now_us=now_us, ahead_us=ahead_us)
        needs = Needs(definitions, settings.entities, settings.request)
        known = {**self._intake.variables, **needs.variables}
        self._rules = RuleSet.read(settings.rules.read_text(), known)
        names = [each.name for each in settings.models]
        self._policy = Policy.read(settings.policy.read_text(), names)
        inputs = [name for each in settings.models for name in each.inputs]
        self._reading = needs.reading([*self._rules.variables, *inputs])
        limits = Limits(max_bytes=65_536, ahead_us=ahead_us)
        self._aggregates = Aggregates(definitions, redis, prefix=features.key_prefix, limits=limits)
        self._lists = Lists()
        self._redis = redis
        self._infer: Any = models.unary_unary(
            INFER, oip.ModelInferRequest.SerializeToString, oip.ModelInferResponse.FromString
        )
        self._records = records
        self._recording: set[asyncio.Task[None]] = set()

    async def assess(
        self, request: pb.AssessTransactionRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.Assessment:
        """Answer `AssessTransaction`."""
        began = time.perf_counter()
        try:
            taken = self._intake.taken(request.transaction)
        except InvalidRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        key = f"plain:{taken.id}"
        if (known := await blob(self._redis, key)) is not None:
            return pb.Assessment.FromString(known)
        decision = await self._decided(taken, context)
        decision.seconds = time.perf_counter() - began
        assessment = messages.assessed(decision)
        said_now, ttl_s = assessment.SerializeToString(), round(self._settings.idempotency.ttl_s)
        if not await self._redis.set(key, said_now, nx=True, ex=ttl_s):  # somebody was first
            return pb.Assessment.FromString(await blob(self._redis, key) or said_now)
        self._records.write(encoded(messages.recorded(decision, self._redaction)) + b"\n")
        self._records.flush()
        return assessment

    async def _decided(
        self, taken: Taken, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> Decision:
        lookups = self._reading.lookups(taken.values)
        told = self._reading.told(await self._aggregates.ask(lookups, now_us()), now_us())
        if self._settings.transaction_event is not None:
            task = asyncio.create_task(self._recorded(taken))
            self._recording.add(task)
            task.add_done_callback(self._recording.discard)
        lists = self._lists.facts(taken.entities, now_us())
        values = {**taken.values, **told.values, **lists}
        report = self._rules.evaluate(values)
        verdict, asked = before_models(report, features_failed=False), list[Asked]()
        if verdict is None:
            for each in self._settings.models:
                asked.append(await self._asked(each, values, context.time_remaining()))
            scores = {it.name: None if it.said is None else it.said.raw for it in asked}
            verdict = after_models(report, scores, taken.payment, self._policy)
        return Decision(
            taken=taken,
            at_us=now_us(),
            rules=self._rules,
            policy=self._policy,
            verdict=verdict,
            told=told,
            lists=lists,
            report=report,
            asked=asked,
        )

    async def _asked(
        self, model: FraudModel, values: dict[str, Held | None], left_s: float
    ) -> Asked:
        began = time.perf_counter()
        row = np.array([[_number(values[name]) for name in model.inputs]], np.float32)
        request = oip.ModelInferRequest(model_name=model.model, model_version=model.version)
        request.inputs.add(name=model.tensor, datatype="FP32", shape=row.shape)
        request.raw_input_contents.append(row.tobytes())
        answer = await self._infer(request, timeout=left_s)
        raw = float(np.frombuffer(answer.raw_output_contents[0], np.float32)[-1])
        seconds = time.perf_counter() - began
        return Asked(model.name, Said(raw, answer.model_version), "", seconds)

    async def _recorded(self, taken: Taken) -> None:
        declared, at_us = self._settings.transaction_event, taken.values["transaction.time_us"]
        assert declared is not None
        assert isinstance(at_us, int)
        fields = {name: said(taken.values, source) for name, source in declared.fields.items()}
        event = self._definitions.events[declared.event]
        await self._aggregates.record(EventWrite(event, taken.id, at_us, fields), now_us())


def _number(value: Held | None) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


async def serve(config: Config, port: int, models: int) -> None:
    """Serve until SIGTERM."""
    redis = Redis.from_url(config.redis.url)
    config.fraud.audit.path.mkdir(parents=True, exist_ok=True)
    with (config.fraud.audit.path / "plain.jsonl").open("ab") as records:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{models}") as channel:
            fraud = PlainFraud(config, redis, channel, records)
            server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
            handler = grpc.unary_unary_rpc_method_handler(
                fraud.assess,
                request_deserializer=pb.AssessTransactionRequest.FromString,
                response_serializer=pb.Assessment.SerializeToString,
            )
            handlers = {"AssessTransaction": handler}
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("inferd.v1.FraudService", handlers),)
            )
            server.add_insecure_port(f"127.0.0.1:{port}")
            await server.start()
            stopping = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
            await stopping.wait()
            await server.stop(grace=1.0)
    await redis.aclose()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="Fraud decisions the usual way.")
    parser.add_argument("--config", type=Path, required=True, help="as of `inferd serve`")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=int, required=True, help="the port of their server")
    args = parser.parse_args()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(load(args.config, os.environ, {}), args.port, args.models))


if __name__ == "__main__":
    main()
