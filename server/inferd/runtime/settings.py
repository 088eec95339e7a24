"""How ONNX Runtime is asked to run one model, in its own terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Optimization(StrEnum):
    """How far ONNX Runtime rewrites a graph before it runs."""

    OFF = "off"
    BASIC = "basic"
    EXTENDED = "extended"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider, by ONNX Runtime's name, e.g. `CUDAExecutionProvider`."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


CPU = Provider("CPUExecutionProvider")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Everything that is decided before a session is created."""

    intra_op_threads: int = 1
    inter_op_threads: int = 1
    parallel: bool = False
    optimization: Optimization = Optimization.ALL
    spinning: bool = False
    memory_arena: bool = True
    memory_pattern: bool = True
    #: Give arena memory of these devices back after every run, e.g. `cpu:0`.
    arena_shrinkage: str = ""
    #: ONNX Runtime's own `session.*` entries.
    entries: Mapping[str, str] = field(default_factory=dict)
    #: In order of preference.
    providers: tuple[Provider, ...] = (CPU,)
