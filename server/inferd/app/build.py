"""The composition root: every part is built here, once, and knows only what it is given."""

import time
from dataclasses import dataclass

from inferd.app.machine import own_cores, usable_cores
from inferd.config import Config
from inferd.inference.assembly import Assembler
from inferd.inference.loading import Loader
from inferd.inference.models import Models
from inferd.inference.permits import CorePermits
from inferd.oip import grpc_service_pb2
from inferd.services.health import SERVICE as HEALTH
from inferd.services.health import Health
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt
from inferd.services.open_inference.recorded import decoder
from inferd.services.open_inference.service import OpenInference
from inferd.services.open_inference.settings import ApplyLog
from inferd.services.pipeline import Pipeline
from inferd.services.reflection import Reflection
from inferd.services.routes import Route, bind
from inferd.telemetry.event_loop import LoopLag
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.rpc import RpcStatistics
from inferd.telemetry.statistics import LoadStatistics
from inferd.telemetry.tracing import Tracer

OPEN_INFERENCE = grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
#: Asked by whoever watches a server go: answered until it is gone.
UNCONDITIONAL = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata")

clock = time.monotonic


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running server is made of."""

    models: Models
    open_inference: OpenInference
    health: Health
    pipeline: Pipeline
    routes: tuple[Route, ...]
    metrics: Metrics
    lag: LoopLag


def loader(config: Config) -> Loader:
    """Return what loads model versions on this machine."""
    return Loader(
        config.inference,
        config.runtime,
        cores=usable_cores(),
        own_cores=own_cores(),
        clock=clock,
        decode=decoder(max_elements=config.inference.max_elements),
    )


def build(config: Config, apply_log: ApplyLog, tracer: Tracer | None) -> Parts:
    """Build a server's parts. Nothing runs yet."""
    bounds_s = [each / 1000 for each in config.telemetry.latency_buckets_ms]
    loads, rpcs, lag = LoadStatistics(), RpcStatistics(bounds_s), LoopLag()
    models = Models(
        config.repository,
        loader(config),
        Assembler(
            config.inference,
            niceness=config.runtime.niceness,
            permits=CorePermits(usable_cores()) if config.runtime.take_turns else None,
            latency_bounds_s=bounds_s,
            clock=clock,
            tracer=tracer,
        ),
        loads,
        parse_text=parse_pbtxt,
        parse_json=parse_json,
        clock=clock,
        wall_clock=time.time,  # noqa: TID251 - files have times of day
    )
    open_inference = OpenInference(models, config, clock=clock, apply_log=apply_log)
    health = Health(models, services=(OPEN_INFERENCE.full_name,))
    pipeline = Pipeline(
        rpcs,
        config.telemetry.log,
        tracer=tracer,
        clock=clock,
        shed_lag_s=config.server.shed_lag_ms / 1000,
    )
    pipeline.on_drain(health.stop)
    bound = (
        *bind(OPEN_INFERENCE, open_inference, unconditional=UNCONDITIONAL),
        *health.routes(),
    )
    reflection = Reflection([OPEN_INFERENCE, HEALTH])
    metrics = Metrics(
        lambda: [version.statistics for version in models.statistics()],
        loads=loads,
        rpcs=rpcs,
        lag=lag,
    )
    return Parts(
        models=models,
        open_inference=open_inference,
        health=health,
        pipeline=pipeline,
        routes=(*bound, *reflection.routes()),
        metrics=metrics,
        lag=lag,
    )
