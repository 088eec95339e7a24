"""Configuration: frozen, validated at birth, unknown keys refused, units in the names.

Every default is here and nowhere else; `configs/production.yaml` lists them all. Reading
files and the environment is `inferd.app`'s business.
"""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from inferd.config.experiments import Experiments
from inferd.config.faults import Faults
from inferd.config.features import Features
from inferd.config.fraud_service import Fraud
from inferd.config.recommendation import Recommendation
from inferd.config.resilience import Resilience
from inferd.config.rollouts import Rollouts
from inferd.config.search import Search
from inferd.config.section import MIB, Label, NotNegative, Port, Positive, Section, Window
from inferd.config.stream import Stream


class Envoy(Section):
    """Envoy, when it carries the calls."""

    concurrency: Annotated[int, Field(ge=1)] = 1
    """Threads that speak HTTP/2. One is good for more calls than Python answers."""
    max_connections: Annotated[int, Field(ge=0)] = 10_000
    """Connections at once; those beyond are closed as soon as they are made. 0: no limit."""
    connection_buffer_bytes: Annotated[int, Field(gt=0)] = MIB
    """Roughly what is kept of one connection's data, each way, before it is not read further."""
    stream_window_bytes: Window = MIB
    """What a client may send of one call before somebody here reads it."""
    connection_window_bytes: Window = 16 * MIB
    """The same for all calls on one connection: what slow readers leave to the others."""
    access_log: str = ""
    """A file for Envoy's access log, of every call; `/dev/stderr` is one. Empty: none."""
    statistics: bool = True
    """Add some of Envoy's own statistics to the metrics; their names begin with `envoy_`."""
    grpc_web: bool = False
    """Speak gRPC-Web, too, for browsers; on the same port, which then takes HTTP/1.1."""
    json_transcoding: bool = False
    """Take JSON, too: POST /package.Service/Method; on the same port."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call from a browser, e.g. `https://shop.example`. `*`: all."""
    shed_above_busy: Annotated[float, Field(gt=0, le=1)] = 0.3
    """While the event loop works for more of the time than this and refuses many calls, Envoy
    refuses some of them before they get there, those that can be spared first. 1: never."""
    rate_limit_per_s: Annotated[int, Field(ge=0)] = 0
    """Calls per second, of all clients together, beyond which Envoy refuses. 0: no limit."""
    rate_limit_burst: Annotated[int, Field(ge=0)] = 0
    """Calls that may come at once, after a pause. Never less than 50 ms of the limit."""


class Server(Section):
    """The process and its two listening sockets."""

    services: tuple[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")], ...] = ()
    """Services of your own, as `module:function`; docs/resilience.md says how to write one."""
    service_options: dict[str, Any] = Field(default_factory=dict)
    """What they want to be told, as they name it."""
    name: str = "inferd"
    """What `ServerMetadata` says. Clients that insist on Triton can have `triton`."""
    host: str = "127.0.0.1"
    """The address that gRPC and HTTP listen on."""
    transport: Literal["auto", "envoy", "grpcio"] = "auto"
    """What carries the calls. envoy: Envoy, with this server in it, far the fastest; needs
    `inferd[envoy]`. grpcio: gRPC's own server. auto: Envoy where that is possible."""
    port: Port = 8001
    """gRPC. 0: any free port."""
    http_port: Port = 8002
    """Metrics and health over HTTP. 0: any free port."""
    reuse_port: bool = False
    """Let another process listen on the same gRPC port (SO_REUSEPORT)."""
    max_receive_bytes: Annotated[int, Field(gt=0)] = 64 * MIB
    """The largest request. A larger one gets RESOURCE_EXHAUSTED."""
    max_send_bytes: Annotated[int, Field(gt=0)] = 64 * MIB
    """The largest answer."""
    max_metadata_bytes: Annotated[int, Field(gt=0)] = 16 * 1024
    """The largest request metadata."""
    max_concurrent_streams: Annotated[int, Field(gt=0)] = 1024
    """Calls in flight on one connection."""
    max_concurrent_calls: Annotated[int, Field(ge=0)] = 0
    """Calls in flight on all connections, a memory fuse. 0: no limit."""
    keepalive_time_s: Positive = 7200.0
    """Ping a silent client after this long. Envoy pings one that speaks, too."""
    keepalive_timeout_s: Positive = 20.0
    """Close the connection when a ping stays unanswered for this long."""
    keepalive_min_client_interval_s: Positive = 10.0
    """A client that pings more often is told to go away. Envoy knows no such limit."""
    max_connection_age_s: NotNegative = 0.0
    """Ask clients to reconnect after this long, so that load spreads. 0: never."""
    max_connection_age_grace_s: Positive = 30.0
    """How long calls may go on after that. Under Envoy: until they end."""
    compression: Literal["none", "deflate", "gzip"] = "none"
    """How answers are compressed."""
    uvloop: bool = True
    """Use uvloop where it is installed."""
    thread_switch_interval_ms: Positive = 0.5
    """How long a Python thread may keep the interpreter from the event loop."""
    shed_lag_ms: NotNegative = 5.0
    """While calls wait longer than this for the event loop, those whose callers say that they are
    sheddable (`x-criticality`) are refused before they are read. 0: never."""
    drain_pause_s: NotNegative = 0.0
    """Between saying NOT_SERVING and refusing calls: time for balancers to notice."""
    drain_s: Positive = 30.0
    """How long calls in flight may take to finish once the server stops."""
    envoy: Envoy = Envoy()


class Repository(Section):
    """Where models come from and when they are loaded."""

    paths: tuple[Path, ...] = (Path("model_repository"),)
    """Directories of `<model>/<version>/model.onnx`. A model's name must be unique in all."""
    control_mode: Literal["none", "poll", "explicit"] = "none"
    """none: load everything once. poll: follow the directory. explicit: load what RPCs ask for."""
    load_models: tuple[str, ...] = ()
    """In explicit mode: the models to load at start. `*` is all."""
    poll_s: Positive = 5.0
    """How often poll mode looks at the directory."""
    settle_s: NotNegative = 1.0
    """A version directory must have been unchanged for this long: it may still be copied."""
    load_threads: Annotated[int, Field(ge=1)] = 2
    """Versions loaded at the same time."""
    max_memory_bytes: Annotated[int, Field(ge=0)] = 0
    """What loaded models may take; the least recently used make room. 0: no limit."""
    pinned: tuple[str, ...] = ()
    """Models that are never evicted."""
    version_labels: dict[str, dict[Label, Annotated[int, Field(ge=1)]]] = Field(
        default_factory=dict
    )
    """Names for versions, e.g. `{digits: {stable: 1, canary: 2}}`; a call may use either."""
    strict: bool = False
    """Exit when a model fails to load at start, instead of serving the others."""


class Inference(Section):
    """Defaults for every model; a model's own `config.pbtxt` goes first."""

    default_deadline_ms: Positive = 1000.0
    """The deadline of a call whose caller named none."""
    max_queue: Annotated[int, Field(ge=1)] = 2048
    """Requests that wait for one model version before new ones are refused."""
    default_max_batch_size: Annotated[int, Field(ge=1)] = 32
    """`max_batch_size` of a model without a configuration whose graph has a batch dimension."""
    inline_below_us: NotNegative = 50.0
    """A run expected to be shorter than this happens on the event loop when the model has
    nothing else to do: handing it to a thread would take longer. 0: never."""
    guard_ms: NotNegative = 0.5
    """Kept back from every deadline for the way home."""
    warmup_runs: Annotated[int, Field(ge=1)] = 5
    """Timed runs of every bucket before a version is ready; they seed the latency model."""
    max_elements: Annotated[int, Field(ge=1)] = 16 * MIB
    """Elements in one tensor of a request."""
    scheduling: Literal["goodput", "fail_fast", "fifo"] = "goodput"
    """goodput: as many answers in time as can be. fail_fast: whoever is let in is served, and the
    others know at once. fifo: first come, first served, as elsewhere; to compare with."""
    client_weights: dict[str, Positive] = Field(default_factory=dict)
    """Where there is not enough for all, callers (`client-id`) get equal shares; a caller named
    here, so many times that of one who is not, e.g. `{shop: 4, reports: 0.5}`."""


class Runtime(Section):
    """ONNX Runtime."""

    intra_op_threads: Annotated[int, Field(ge=0)] = 0
    """Threads in one run. 0: the cores divided by the model's instances."""
    inter_op_threads: Annotated[int, Field(ge=0)] = 1
    """Threads across operators, where a model asks for parallel execution."""
    niceness: Annotated[int, Field(ge=0, le=19)] = 5
    """How far the threads of models give way, on a busy machine, to those that take calls, refuse
    them and send answers; on Linux. 0: not at all."""
    pin_cores: bool = False
    """Where a model has several instances on the CPU and there are cores enough, keep the threads
    of each to cores of its own; on Linux, and not under a quota below the process's affinity."""
    take_turns: bool = True
    """Let batches wait for a free core, the most urgent first, where models have more threads than
    the machine has cores."""
    spinning: bool = False
    """Let idle threads spin. Saves microseconds, costs a core."""


class SharedMemory(Section):
    """Tensors passed through shared memory instead of the wire."""

    system: bool = False
    """Allow clients to register POSIX shared memory. They name files in /dev/shm: trust them."""
    max_region_bytes: Annotated[int, Field(gt=0)] = 1024 * MIB
    """The largest region that may be registered."""


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
    slow_ms: NotNegative = 1000.0
    """A call that takes longer goes to the access log, as every failed one does. 0: all."""
    access: bool = True
    """Keep an access log of slow and failed calls."""


class Traces(Section):
    """OpenTelemetry traces, sent by OTLP over gRPC."""

    endpoint: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """Where to send them, e.g. `http://127.0.0.1:4317`. Empty: no tracing."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of calls traced when the caller has not decided."""
    service_name: str = "inferd"


class Telemetry(Section):
    """What can be seen from outside."""

    log: Log = Log()
    traces: Traces = Traces()
    latency_buckets_ms: tuple[Positive, ...] = (
        0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000,
    )  # fmt: skip
    """Upper bounds of the latency histograms."""


class Redis(Section):
    """Where Redis is, if there is one."""

    url: Annotated[str, Field(pattern=r"^((rediss?|unix)://\S+)?$")] = ""
    """`redis://host:6379/0`, `rediss://...` for TLS, or `unix:///path`. Empty: there is none."""
    connections: Annotated[int, Field(ge=1)] = 8
    """At most so many to it."""
    connect_timeout_ms: Positive = 200.0

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
        database = "" if parts.scheme == "unix" else parts.path.strip("/")
        if database and not database.isdecimal():
            raise ValueError("after the host there may be the number of a database")
        return url


class Postgres(Section):
    """Where PostgreSQL is, if there is one. Needs `inferd[postgres]`."""

    url: Annotated[str, Field(pattern=r"^(postgres(ql)?://\S+)?$")] = ""
    """`postgresql://user:password@host:5432/database`, or `postgresql://user@/database?host=/path`
    with the directory of a Unix socket. Empty: there is none."""
    connections: Annotated[int, Field(ge=1)] = 4
    """At most so many to it, each of which is a process there."""
    connect_timeout_ms: Positive = 1000.0
    """Nobody waits longer than they have time; this is when connecting is given up."""

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        for host in urlsplit(url).netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port  # raises where it is none
        return url


class Admin(Section):
    """A port of its own for those who look after the server: `inferd.v1.AdminService`."""

    enabled: bool = False
    port: Port = 8003
    """On the server's host. 0: any free port. Whoever can reach it can open breakers."""


class Config(Section):
    """Everything the server is told from outside."""

    server: Server = Server()
    repository: Repository = Repository()
    inference: Inference = Inference()
    runtime: Runtime = Runtime()
    shared_memory: SharedMemory = SharedMemory()
    resilience: Resilience = Resilience()
    features: Features = Features()
    fraud: Fraud = Fraud()
    experiments: Experiments = Experiments()
    rollouts: Rollouts = Rollouts()
    recommendation: Recommendation = Recommendation()
    search: Search = Search()
    stream: Stream = Stream()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    admin: Admin = Admin()
    faults: Faults = Faults()
    telemetry: Telemetry = Telemetry()

    @model_validator(mode="after")
    def _has_what_is_shared(self) -> "Config":
        for number, each in enumerate(self.resilience.rate_limits):
            if each.shared and not self.redis.url:
                raise ValueError(f"resilience.rate_limits.{number}.shared needs redis.url")
        if self.features.definitions and self.features.store == "redis" and not self.redis.url:
            raise ValueError("features.store redis needs redis.url")
        if self.recommendation.enabled and self.features.definitions is None:
            raise ValueError("recommendation.enabled needs features.definitions")
        if self.fraud.rules is not None:
            self._check_fraud()
        if self.features.definitions and not self.postgres.url:
            if self.features.store == "postgres":
                raise ValueError("features.store postgres needs postgres.url")
            if self.features.cache_in_postgres:
                raise ValueError("features.cache_in_postgres needs postgres.url")
        return self

    def _check_fraud(self) -> None:
        if self.features.definitions is None:
            raise ValueError("fraud.rules needs features.definitions")
        for key, needs in (
            ("fraud.idempotency.store redis", self.fraud.idempotency.store == "redis"),
            ("fraud.alerts.redis", self.fraud.alerts.redis is not None),
        ):
            if needs and not self.redis.url:
                raise ValueError(f"{key} needs redis.url")
