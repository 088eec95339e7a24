"""The composition root: every part is built here, once, and knows only what it is given."""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferd.app import experiments, features, fraud, recommendation, redis, rollouts, search
from inferd.app.extensions import extensions
from inferd.app.launch import OPEN_INFERENCE, UNCONDITIONAL
from inferd.app.machine import own_cores, usable_cores
from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.inference.assembly import Assembler
from inferd.inference.loading import Loader
from inferd.inference.models import Models
from inferd.inference.permits import CorePermits
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.services.admin.service import SERVICE as ADMIN
from inferd.services.admin.service import Admin, breakers_of
from inferd.services.extension import Host
from inferd.services.faults import heeding
from inferd.services.health import SERVICE as HEALTH
from inferd.services.health import Health
from inferd.services.limits import Limits
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt
from inferd.services.open_inference.recorded import decoder
from inferd.services.open_inference.service import OpenInference
from inferd.services.open_inference.settings import ApplyLog
from inferd.services.pipeline import Pipeline
from inferd.services.reflection import Reflection
from inferd.services.routes import Route, bind
from inferd.telemetry.event_loop import LoopLag
from inferd.telemetry.guards import GuardMetrics
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.rollouts import RolloutMetrics
from inferd.telemetry.rpc import RpcStatistics
from inferd.telemetry.statistics import Histogram, LoadStatistics
from inferd.telemetry.tracing import Tracer

if TYPE_CHECKING:
    from inferd.app.experiments import Experiments
    from inferd.app.feature_parts import Features
    from inferd.app.fraud_parts import Fraud
    from inferd.app.recommendation_parts import Recommendations
    from inferd.app.search_parts import Search
    from inferd.cache.connection import Redis

clock = time.monotonic


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running server is made of."""

    models: Models
    open_inference: OpenInference
    health: Health
    pipeline: Pipeline
    routes: tuple[Route, ...]
    #: For the admin port.
    admin_routes: tuple[Route, ...]
    metrics: Metrics
    lag: LoopLag
    faults: FaultPoints
    #: None: nothing is declared.
    features: "Features | None"
    #: None: there are no rules.
    fraud: "Fraud | None"
    #: None: none are declared.
    experiments: "Experiments | None"
    #: None: nothing is recommended.
    recommendation: "Recommendations | None"
    #: None: there is no index.
    search: "Search | None"
    #: What is to be closed when nothing runs any more.
    closing: AsyncExitStack


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
    faults = FaultPoints(config.faults, clock)
    toolbox = Toolbox(
        config.resilience,
        faults,
        histogram=lambda: Histogram(bounds_s),
        busy=lambda: lag.busy,
        clock=clock,
    )
    connected, closing = redis.made(config.redis), AsyncExitStack()
    closing.push_async_callback(redis.closed, connected)
    limits = _limits(config, toolbox, connected)
    rolled_out = rollouts.made(config, clock)
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
            resilience=config.resilience,
            points=faults if config.faults.enabled else None,
        ),
        loads,
        parse_text=parse_pbtxt,
        parse_json=parse_json,
        clock=clock,
        wall_clock=time.time,  # noqa: TID251 - files have times of day
        rollouts=rolled_out,
    )
    open_inference = OpenInference(models, config, clock=clock, apply_log=apply_log)
    closing.callback(open_inference.close)
    host = Host(models, toolbox, connected, config.server.service_options, clock, closing)
    known = features.made(config, connected, toolbox, busy=lambda: lag.busy, clock=clock)
    if known is not None:
        closing.push_async_callback(known.closing.aclose)
    decides = fraud.made(config, known, models, connected, toolbox, clock=clock)
    if decides is not None:
        closing.push_async_callback(decides.closing.aclose)
    tried = experiments.made(config, [*recommendation.asking(config), *search.asking(config)])
    recommends = recommendation.made(config, known, tried, models, toolbox, clock=clock)
    searches = search.made(config, tried, models, toolbox, clock=clock)
    ours = [each for each in (known, decides, recommends, searches) if each is not None]
    added = [*(each.service for each in ours), *extensions(config.server.services, host)]
    described = [OPEN_INFERENCE, *(service.descriptor for service in added)]
    health = Health(models, services=[each.full_name for each in described])
    pipeline = Pipeline(
        rpcs,
        config.telemetry.log,
        tracer=tracer,
        clock=clock,
        shed_lag_s=config.server.shed_lag_ms / 1000,
        limits=limits,
    )
    pipeline.on_drain(health.stop)
    bound = (
        *bind(OPEN_INFERENCE, open_inference, unconditional=UNCONDITIONAL),
        *(route for service in added for route in bind(*service)),
        *health.routes(),
    )
    if unknown := [*limits.unknown(bound), *toolbox.unknown()]:
        raise ConfigError(f"{key}: there is nothing of that name" for key in unknown)
    reflection = Reflection([*described, HEALTH])
    metrics = Metrics(
        lambda: [version.statistics for version in models.statistics()],
        loads=loads,
        rpcs=rpcs,
        lag=lag,
    )
    metrics.registry.register(
        GuardMetrics(toolbox, limits, breakers=lambda: breakers_of(models), faults=faults.listing)
    )
    if rolled_out is not None:
        metrics.registry.register(RolloutMetrics(rolled_out.rollouts, rolled_out.copies))
    for part in (*ours, *([] if tried is None else [tried])):
        for each in part.metrics:
            metrics.registry.register(each)
    return Parts(
        models=models,
        open_inference=open_inference,
        health=health,
        pipeline=pipeline,
        routes=(*(heeding(bound, faults.check) if faults.by_call else bound), *reflection.routes()),
        admin_routes=(
            *bind(
                ADMIN,
                Admin(
                    toolbox,
                    models,
                    faults,
                    limits,
                    clock=clock,
                    experiments=None if tried is None else tried.keeper,
                    rollouts=rolled_out,
                ),
            ),
            *health.routes(),
            *Reflection([ADMIN, HEALTH]).routes(),
        ),
        metrics=metrics,
        lag=lag,
        faults=faults,
        features=known,
        fraud=decides,
        experiments=tried,
        recommendation=recommends,
        search=searches,
        closing=closing,
    )


def _limits(config: Config, toolbox: Toolbox, connected: "Redis | None") -> Limits:
    shared = any(each.shared for each in config.resilience.rate_limits)
    together = redis.counting(connected, toolbox) if shared else None
    return Limits(config.resilience, clock=clock, together=together)
