from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Breaker(_message.Message):
    __slots__ = ("state", "calls", "failures", "slow", "failure_rate", "slow_rate", "retry_after_s", "opened", "transitions")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Breaker.State]
        CLOSED: _ClassVar[Breaker.State]
        OPEN: _ClassVar[Breaker.State]
        HALF_OPEN: _ClassVar[Breaker.State]
        FORCED_OPEN: _ClassVar[Breaker.State]
        FORCED_CLOSED: _ClassVar[Breaker.State]
    STATE_UNSPECIFIED: Breaker.State
    CLOSED: Breaker.State
    OPEN: Breaker.State
    HALF_OPEN: Breaker.State
    FORCED_OPEN: Breaker.State
    FORCED_CLOSED: Breaker.State
    STATE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    FAILURE_RATE_FIELD_NUMBER: _ClassVar[int]
    SLOW_RATE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    TRANSITIONS_FIELD_NUMBER: _ClassVar[int]
    state: Breaker.State
    calls: int
    failures: int
    slow: int
    failure_rate: float
    slow_rate: float
    retry_after_s: float
    opened: int
    transitions: _containers.RepeatedCompositeFieldContainer[BreakerTransition]
    def __init__(self, state: _Optional[_Union[Breaker.State, str]] = ..., calls: _Optional[int] = ..., failures: _Optional[int] = ..., slow: _Optional[int] = ..., failure_rate: _Optional[float] = ..., slow_rate: _Optional[float] = ..., retry_after_s: _Optional[float] = ..., opened: _Optional[int] = ..., transitions: _Optional[_Iterable[_Union[BreakerTransition, _Mapping]]] = ...) -> None: ...

class BreakerTransition(_message.Message):
    __slots__ = ("ago_s", "before", "after", "why")
    AGO_S_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    ago_s: float
    before: Breaker.State
    after: Breaker.State
    why: str
    def __init__(self, ago_s: _Optional[float] = ..., before: _Optional[_Union[Breaker.State, str]] = ..., after: _Optional[_Union[Breaker.State, str]] = ..., why: _Optional[str] = ...) -> None: ...

class ConcurrencyLimit(_message.Message):
    __slots__ = ("name", "limit", "in_flight", "fixed", "refused")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    limit: float
    in_flight: int
    fixed: bool
    refused: int
    def __init__(self, name: _Optional[str] = ..., limit: _Optional[float] = ..., in_flight: _Optional[int] = ..., fixed: _Optional[bool] = ..., refused: _Optional[int] = ...) -> None: ...

class LatencyQuantiles(_message.Message):
    __slots__ = ("p50_ms", "p95_ms", "p99_ms", "observed")
    P50_MS_FIELD_NUMBER: _ClassVar[int]
    P95_MS_FIELD_NUMBER: _ClassVar[int]
    P99_MS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    observed: int
    def __init__(self, p50_ms: _Optional[float] = ..., p95_ms: _Optional[float] = ..., p99_ms: _Optional[float] = ..., observed: _Optional[int] = ...) -> None: ...

class ListDependenciesRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListDependenciesResponse(_message.Message):
    __slots__ = ("dependencies",)
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    dependencies: _containers.RepeatedCompositeFieldContainer[Dependency]
    def __init__(self, dependencies: _Optional[_Iterable[_Union[Dependency, _Mapping]]] = ...) -> None: ...

class Dependency(_message.Message):
    __slots__ = ("name", "breaker", "limit", "latency", "outcomes", "retries", "hedges", "hedges_won", "spare_attempts", "hedge_after_ms")
    class OutcomesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    HEDGES_FIELD_NUMBER: _ClassVar[int]
    HEDGES_WON_FIELD_NUMBER: _ClassVar[int]
    SPARE_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    HEDGE_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    breaker: Breaker
    limit: ConcurrencyLimit
    latency: LatencyQuantiles
    outcomes: _containers.ScalarMap[str, int]
    retries: int
    hedges: int
    hedges_won: int
    spare_attempts: float
    hedge_after_ms: float
    def __init__(self, name: _Optional[str] = ..., breaker: _Optional[_Union[Breaker, _Mapping]] = ..., limit: _Optional[_Union[ConcurrencyLimit, _Mapping]] = ..., latency: _Optional[_Union[LatencyQuantiles, _Mapping]] = ..., outcomes: _Optional[_Mapping[str, int]] = ..., retries: _Optional[int] = ..., hedges: _Optional[int] = ..., hedges_won: _Optional[int] = ..., spare_attempts: _Optional[float] = ..., hedge_after_ms: _Optional[float] = ...) -> None: ...

class ListEndpointsRequest(_message.Message):
    __slots__ = ("method",)
    METHOD_FIELD_NUMBER: _ClassVar[int]
    method: str
    def __init__(self, method: _Optional[str] = ...) -> None: ...

class ListEndpointsResponse(_message.Message):
    __slots__ = ("endpoints",)
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    def __init__(self, endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("method", "load", "guard_ms", "stages", "degraded")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    GUARD_MS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    method: str
    load: float
    guard_ms: float
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    degraded: _containers.RepeatedCompositeFieldContainer[DegradedCount]
    def __init__(self, method: _Optional[str] = ..., load: _Optional[float] = ..., guard_ms: _Optional[float] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., degraded: _Optional[_Iterable[_Union[DegradedCount, _Mapping]]] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("name", "optional", "beside_previous", "reserve_ms", "latency", "ladder")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_FIELD_NUMBER: _ClassVar[int]
    BESIDE_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    RESERVE_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    LADDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    optional: bool
    beside_previous: bool
    reserve_ms: float
    latency: LatencyQuantiles
    ladder: _containers.RepeatedCompositeFieldContainer[Rung]
    def __init__(self, name: _Optional[str] = ..., optional: _Optional[bool] = ..., beside_previous: _Optional[bool] = ..., reserve_ms: _Optional[float] = ..., latency: _Optional[_Union[LatencyQuantiles, _Mapping]] = ..., ladder: _Optional[_Iterable[_Union[Rung, _Mapping]]] = ...) -> None: ...

class Rung(_message.Message):
    __slots__ = ("name", "cap_ms", "up_to_load", "kept_back_ms", "needs_ms", "last_budget_ms", "left_out", "latency")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAP_MS_FIELD_NUMBER: _ClassVar[int]
    UP_TO_LOAD_FIELD_NUMBER: _ClassVar[int]
    KEPT_BACK_MS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    name: str
    cap_ms: float
    up_to_load: float
    kept_back_ms: float
    needs_ms: float
    last_budget_ms: float
    left_out: int
    latency: LatencyQuantiles
    def __init__(self, name: _Optional[str] = ..., cap_ms: _Optional[float] = ..., up_to_load: _Optional[float] = ..., kept_back_ms: _Optional[float] = ..., needs_ms: _Optional[float] = ..., last_budget_ms: _Optional[float] = ..., left_out: _Optional[int] = ..., latency: _Optional[_Union[LatencyQuantiles, _Mapping]] = ...) -> None: ...

class DegradedCount(_message.Message):
    __slots__ = ("stage", "source", "reason", "count")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    source: str
    reason: str
    count: int
    def __init__(self, stage: _Optional[str] = ..., source: _Optional[str] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class ListInstancesRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class ListInstancesResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("model", "version", "state", "instances", "rebuilds", "capacity_rows_per_s", "breaker")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    REBUILDS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_ROWS_PER_S_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    state: str
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    rebuilds: int
    capacity_rows_per_s: float
    breaker: Breaker
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[str] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ..., rebuilds: _Optional[int] = ..., capacity_rows_per_s: _Optional[float] = ..., breaker: _Optional[_Union[Breaker, _Mapping]] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("index", "in_service", "why", "ejections")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    IN_SERVICE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    EJECTIONS_FIELD_NUMBER: _ClassVar[int]
    index: int
    in_service: bool
    why: str
    ejections: int
    def __init__(self, index: _Optional[int] = ..., in_service: _Optional[bool] = ..., why: _Optional[str] = ..., ejections: _Optional[int] = ...) -> None: ...

class ListLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLimitsResponse(_message.Message):
    __slots__ = ("rate_limits", "bulkheads", "concurrency_limits")
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    BULKHEADS_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_LIMITS_FIELD_NUMBER: _ClassVar[int]
    rate_limits: _containers.RepeatedCompositeFieldContainer[RateLimit]
    bulkheads: _containers.RepeatedCompositeFieldContainer[Bulkhead]
    concurrency_limits: _containers.RepeatedCompositeFieldContainer[ConcurrencyLimit]
    def __init__(self, rate_limits: _Optional[_Iterable[_Union[RateLimit, _Mapping]]] = ..., bulkheads: _Optional[_Iterable[_Union[Bulkhead, _Mapping]]] = ..., concurrency_limits: _Optional[_Iterable[_Union[ConcurrencyLimit, _Mapping]]] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("methods", "identities", "per_s", "burst", "together", "shared", "allowed", "refused")
    METHODS_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    PER_S_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    TOGETHER_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    methods: _containers.RepeatedScalarFieldContainer[str]
    identities: _containers.RepeatedScalarFieldContainer[str]
    per_s: float
    burst: int
    together: bool
    shared: bool
    allowed: int
    refused: int
    def __init__(self, methods: _Optional[_Iterable[str]] = ..., identities: _Optional[_Iterable[str]] = ..., per_s: _Optional[float] = ..., burst: _Optional[int] = ..., together: _Optional[bool] = ..., shared: _Optional[bool] = ..., allowed: _Optional[int] = ..., refused: _Optional[int] = ...) -> None: ...

class Bulkhead(_message.Message):
    __slots__ = ("service", "max_calls", "in_flight", "refused")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    service: str
    max_calls: int
    in_flight: int
    refused: _containers.ScalarMap[str, int]
    def __init__(self, service: _Optional[str] = ..., max_calls: _Optional[int] = ..., in_flight: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ...) -> None: ...

class SetBreakerRequest(_message.Message):
    __slots__ = ("name", "mode")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[SetBreakerRequest.Mode]
        AUTOMATIC: _ClassVar[SetBreakerRequest.Mode]
        FORCED_OPEN: _ClassVar[SetBreakerRequest.Mode]
        FORCED_CLOSED: _ClassVar[SetBreakerRequest.Mode]
    MODE_UNSPECIFIED: SetBreakerRequest.Mode
    AUTOMATIC: SetBreakerRequest.Mode
    FORCED_OPEN: SetBreakerRequest.Mode
    FORCED_CLOSED: SetBreakerRequest.Mode
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    mode: SetBreakerRequest.Mode
    def __init__(self, name: _Optional[str] = ..., mode: _Optional[_Union[SetBreakerRequest.Mode, str]] = ...) -> None: ...

class SetBreakerResponse(_message.Message):
    __slots__ = ("breaker",)
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    breaker: Breaker
    def __init__(self, breaker: _Optional[_Union[Breaker, _Mapping]] = ...) -> None: ...

class SetConcurrencyLimitRequest(_message.Message):
    __slots__ = ("name", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    limit: int
    def __init__(self, name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class SetConcurrencyLimitResponse(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: ConcurrencyLimit
    def __init__(self, limit: _Optional[_Union[ConcurrencyLimit, _Mapping]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("point", "share", "for_s", "flap_s", "direction", "latency", "error", "drop", "hang", "corrupt", "cpu_stall", "memory_pressure", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "down")
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIRECTION_UNSPECIFIED: _ClassVar[Fault.Direction]
        DOWNSTREAM: _ClassVar[Fault.Direction]
        UPSTREAM: _ClassVar[Fault.Direction]
    DIRECTION_UNSPECIFIED: Fault.Direction
    DOWNSTREAM: Fault.Direction
    UPSTREAM: Fault.Direction
    class Latency(_message.Message):
        __slots__ = ("ms", "jitter_ms")
        MS_FIELD_NUMBER: _ClassVar[int]
        JITTER_MS_FIELD_NUMBER: _ClassVar[int]
        ms: float
        jitter_ms: float
        def __init__(self, ms: _Optional[float] = ..., jitter_ms: _Optional[float] = ...) -> None: ...
    class Error(_message.Message):
        __slots__ = ("reason",)
        REASON_FIELD_NUMBER: _ClassVar[int]
        reason: str
        def __init__(self, reason: _Optional[str] = ...) -> None: ...
    class Drop(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Hang(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Corrupt(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class CpuStall(_message.Message):
        __slots__ = ("ms",)
        MS_FIELD_NUMBER: _ClassVar[int]
        ms: float
        def __init__(self, ms: _Optional[float] = ...) -> None: ...
    class MemoryPressure(_message.Message):
        __slots__ = ("mib",)
        MIB_FIELD_NUMBER: _ClassVar[int]
        mib: int
        def __init__(self, mib: _Optional[int] = ...) -> None: ...
    class Bandwidth(_message.Message):
        __slots__ = ("rate_kb_s",)
        RATE_KB_S_FIELD_NUMBER: _ClassVar[int]
        rate_kb_s: float
        def __init__(self, rate_kb_s: _Optional[float] = ...) -> None: ...
    class SlowClose(_message.Message):
        __slots__ = ("delay_ms",)
        DELAY_MS_FIELD_NUMBER: _ClassVar[int]
        delay_ms: float
        def __init__(self, delay_ms: _Optional[float] = ...) -> None: ...
    class Timeout(_message.Message):
        __slots__ = ("timeout_ms",)
        TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
        timeout_ms: float
        def __init__(self, timeout_ms: _Optional[float] = ...) -> None: ...
    class ResetPeer(_message.Message):
        __slots__ = ("timeout_ms",)
        TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
        timeout_ms: float
        def __init__(self, timeout_ms: _Optional[float] = ...) -> None: ...
    class Slicer(_message.Message):
        __slots__ = ("average_bytes", "variation_bytes", "delay_us")
        AVERAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
        VARIATION_BYTES_FIELD_NUMBER: _ClassVar[int]
        DELAY_US_FIELD_NUMBER: _ClassVar[int]
        average_bytes: int
        variation_bytes: int
        delay_us: float
        def __init__(self, average_bytes: _Optional[int] = ..., variation_bytes: _Optional[int] = ..., delay_us: _Optional[float] = ...) -> None: ...
    class LimitData(_message.Message):
        __slots__ = ("bytes",)
        BYTES_FIELD_NUMBER: _ClassVar[int]
        bytes: int
        def __init__(self, bytes: _Optional[int] = ...) -> None: ...
    class Down(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    POINT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    FLAP_S_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    HANG_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_FIELD_NUMBER: _ClassVar[int]
    CPU_STALL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PRESSURE_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_FIELD_NUMBER: _ClassVar[int]
    SLOW_CLOSE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RESET_PEER_FIELD_NUMBER: _ClassVar[int]
    SLICER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_DATA_FIELD_NUMBER: _ClassVar[int]
    DOWN_FIELD_NUMBER: _ClassVar[int]
    point: str
    share: float
    for_s: float
    flap_s: float
    direction: Fault.Direction
    latency: Fault.Latency
    error: Fault.Error
    drop: Fault.Drop
    hang: Fault.Hang
    corrupt: Fault.Corrupt
    cpu_stall: Fault.CpuStall
    memory_pressure: Fault.MemoryPressure
    bandwidth: Fault.Bandwidth
    slow_close: Fault.SlowClose
    timeout: Fault.Timeout
    reset_peer: Fault.ResetPeer
    slicer: Fault.Slicer
    limit_data: Fault.LimitData
    down: Fault.Down
    def __init__(self, point: _Optional[str] = ..., share: _Optional[float] = ..., for_s: _Optional[float] = ..., flap_s: _Optional[float] = ..., direction: _Optional[_Union[Fault.Direction, str]] = ..., latency: _Optional[_Union[Fault.Latency, _Mapping]] = ..., error: _Optional[_Union[Fault.Error, _Mapping]] = ..., drop: _Optional[_Union[Fault.Drop, _Mapping]] = ..., hang: _Optional[_Union[Fault.Hang, _Mapping]] = ..., corrupt: _Optional[_Union[Fault.Corrupt, _Mapping]] = ..., cpu_stall: _Optional[_Union[Fault.CpuStall, _Mapping]] = ..., memory_pressure: _Optional[_Union[Fault.MemoryPressure, _Mapping]] = ..., bandwidth: _Optional[_Union[Fault.Bandwidth, _Mapping]] = ..., slow_close: _Optional[_Union[Fault.SlowClose, _Mapping]] = ..., timeout: _Optional[_Union[Fault.Timeout, _Mapping]] = ..., reset_peer: _Optional[_Union[Fault.ResetPeer, _Mapping]] = ..., slicer: _Optional[_Union[Fault.Slicer, _Mapping]] = ..., limit_data: _Optional[_Union[Fault.LimitData, _Mapping]] = ..., down: _Optional[_Union[Fault.Down, _Mapping]] = ...) -> None: ...

class InjectFaultRequest(_message.Message):
    __slots__ = ("fault",)
    FAULT_FIELD_NUMBER: _ClassVar[int]
    fault: Fault
    def __init__(self, fault: _Optional[_Union[Fault, _Mapping]] = ...) -> None: ...

class InjectFaultResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class ClearFaultsRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class ClearFaultsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListFaultsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListFaultsResponse(_message.Message):
    __slots__ = ("faults", "points")
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[ActiveFault]
    points: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, faults: _Optional[_Iterable[_Union[ActiveFault, _Mapping]]] = ..., points: _Optional[_Iterable[str]] = ...) -> None: ...

class ActiveFault(_message.Message):
    __slots__ = ("id", "fault", "remaining_s", "struck", "on")
    ID_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    REMAINING_S_FIELD_NUMBER: _ClassVar[int]
    STRUCK_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    id: int
    fault: Fault
    remaining_s: float
    struck: int
    on: bool
    def __init__(self, id: _Optional[int] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ..., remaining_s: _Optional[float] = ..., struck: _Optional[int] = ..., on: _Optional[bool] = ...) -> None: ...

class ListExperimentsRequest(_message.Message):
    __slots__ = ("surface",)
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    surface: str
    def __init__(self, surface: _Optional[str] = ...) -> None: ...

class ListExperimentsResponse(_message.Message):
    __slots__ = ("experiments", "version", "refused")
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    experiments: _containers.RepeatedCompositeFieldContainer[Experiment]
    version: str
    refused: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, experiments: _Optional[_Iterable[_Union[Experiment, _Mapping]]] = ..., version: _Optional[str] = ..., refused: _Optional[_Iterable[str]] = ...) -> None: ...

class Experiment(_message.Message):
    __slots__ = ("name", "surface", "state", "layer", "unit", "coverage", "revision", "arms", "stopped")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Experiment.State]
        DRAFT: _ClassVar[Experiment.State]
        RUNNING: _ClassVar[Experiment.State]
        STOPPED: _ClassVar[Experiment.State]
    STATE_UNSPECIFIED: Experiment.State
    DRAFT: Experiment.State
    RUNNING: Experiment.State
    STOPPED: Experiment.State
    class Arm(_message.Message):
        __slots__ = ("name", "weight", "assigned", "exposed", "stopped")
        NAME_FIELD_NUMBER: _ClassVar[int]
        WEIGHT_FIELD_NUMBER: _ClassVar[int]
        ASSIGNED_FIELD_NUMBER: _ClassVar[int]
        EXPOSED_FIELD_NUMBER: _ClassVar[int]
        STOPPED_FIELD_NUMBER: _ClassVar[int]
        name: str
        weight: float
        assigned: int
        exposed: int
        stopped: Experiment.Stop
        def __init__(self, name: _Optional[str] = ..., weight: _Optional[float] = ..., assigned: _Optional[int] = ..., exposed: _Optional[int] = ..., stopped: _Optional[_Union[Experiment.Stop, _Mapping]] = ...) -> None: ...
    class Stop(_message.Message):
        __slots__ = ("why", "time_us")
        WHY_FIELD_NUMBER: _ClassVar[int]
        TIME_US_FIELD_NUMBER: _ClassVar[int]
        why: str
        time_us: int
        def __init__(self, why: _Optional[str] = ..., time_us: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    name: str
    surface: str
    state: Experiment.State
    layer: str
    unit: str
    coverage: float
    revision: int
    arms: _containers.RepeatedCompositeFieldContainer[Experiment.Arm]
    stopped: Experiment.Stop
    def __init__(self, name: _Optional[str] = ..., surface: _Optional[str] = ..., state: _Optional[_Union[Experiment.State, str]] = ..., layer: _Optional[str] = ..., unit: _Optional[str] = ..., coverage: _Optional[float] = ..., revision: _Optional[int] = ..., arms: _Optional[_Iterable[_Union[Experiment.Arm, _Mapping]]] = ..., stopped: _Optional[_Union[Experiment.Stop, _Mapping]] = ...) -> None: ...

class ReloadExperimentsRequest(_message.Message):
    __slots__ = ("check_only",)
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    check_only: bool
    def __init__(self, check_only: _Optional[bool] = ...) -> None: ...

class ReloadExperimentsResponse(_message.Message):
    __slots__ = ("version", "changed", "moved")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    version: str
    changed: bool
    moved: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., changed: _Optional[bool] = ..., moved: _Optional[_Iterable[str]] = ...) -> None: ...

class StopExperimentRequest(_message.Message):
    __slots__ = ("experiment", "arm", "why")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    experiment: str
    arm: str
    why: str
    def __init__(self, experiment: _Optional[str] = ..., arm: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class StopExperimentResponse(_message.Message):
    __slots__ = ("kept",)
    KEPT_FIELD_NUMBER: _ClassVar[int]
    kept: bool
    def __init__(self, kept: _Optional[bool] = ...) -> None: ...

class ListRolloutsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRolloutsResponse(_message.Message):
    __slots__ = ("rollouts",)
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    rollouts: _containers.RepeatedCompositeFieldContainer[Rollout]
    def __init__(self, rollouts: _Optional[_Iterable[_Union[Rollout, _Mapping]]] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("model", "stage", "stable", "canary", "percent", "why", "time_us", "problem")
    class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STAGE_UNSPECIFIED: _ClassVar[Rollout.Stage]
        RUNNING: _ClassVar[Rollout.Stage]
        ROLLED_BACK: _ClassVar[Rollout.Stage]
        PROMOTED: _ClassVar[Rollout.Stage]
    STAGE_UNSPECIFIED: Rollout.Stage
    RUNNING: Rollout.Stage
    ROLLED_BACK: Rollout.Stage
    PROMOTED: Rollout.Stage
    class Side(_message.Message):
        __slots__ = ("version", "calls", "failed")
        VERSION_FIELD_NUMBER: _ClassVar[int]
        CALLS_FIELD_NUMBER: _ClassVar[int]
        FAILED_FIELD_NUMBER: _ClassVar[int]
        version: int
        calls: int
        failed: int
        def __init__(self, version: _Optional[int] = ..., calls: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    model: str
    stage: Rollout.Stage
    stable: Rollout.Side
    canary: Rollout.Side
    percent: float
    why: str
    time_us: int
    problem: str
    def __init__(self, model: _Optional[str] = ..., stage: _Optional[_Union[Rollout.Stage, str]] = ..., stable: _Optional[_Union[Rollout.Side, _Mapping]] = ..., canary: _Optional[_Union[Rollout.Side, _Mapping]] = ..., percent: _Optional[float] = ..., why: _Optional[str] = ..., time_us: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class DecideRolloutRequest(_message.Message):
    __slots__ = ("model", "stage", "why")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    model: str
    stage: Rollout.Stage
    why: str
    def __init__(self, model: _Optional[str] = ..., stage: _Optional[_Union[Rollout.Stage, str]] = ..., why: _Optional[str] = ...) -> None: ...

class DecideRolloutResponse(_message.Message):
    __slots__ = ("kept",)
    KEPT_FIELD_NUMBER: _ClassVar[int]
    kept: bool
    def __init__(self, kept: _Optional[bool] = ...) -> None: ...
