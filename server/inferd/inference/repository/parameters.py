"""`parameters` of a model's configuration: strings on disk, values from here on.

The keys are those of Triton's ONNX Runtime backend, ONNX Runtime's own `session.*`
entries, and inferd's. One table says all but the second; a key that is in none of them
is refused, with the nearest one that exists: a misspelt limit must not be no limit.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from inferd.inference.repository.problems import Problem, shown

SESSION = "session."
BATCH_BUCKETS = "inferd.batch_buckets"
SEQUENCE_BUCKETS = "inferd.sequence_buckets"
SEQUENCE_PAD = "inferd.sequence_pad_value"
#: Every one of them is run before a version is ready.
MAX_BUCKETS = 64
MAX_ROWS = 65_536
MAX_LENGTH = 16_777_216

#: Such entries make ONNX Runtime read or write files that are not the model's own.
_NAMES_FILES = re.compile("file|path|folder|profiling|save_|bytes_directly|model_format")
_WHOLE = re.compile("[0-9]{1,20}")
_SHRINKAGE = re.compile("(cpu|gpu):[0-9]{1,3}(;(cpu|gpu):[0-9]{1,3})*")
SCHEDULING = ("goodput", "fail_fast", "fifo")
"""What `inference.scheduling` may be, too."""
_FLAGS = {"0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `parameters` said. The defaults are what a model gets that says nothing."""

    #: Threads in one run, and across operators. 0: the server's choice.
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    #: Run independent operators at the same time.
    parallel: bool = False
    memory_arena: bool = True
    memory_pattern: bool = True
    #: Devices whose arena gives memory back after every run, e.g. `cpu:0;gpu:0`.
    arena_shrinkage: str = ""
    #: ONNX Runtime's `session.*` entries, in its own words.
    session: Mapping[str, str] = field(default_factory=dict)
    #: Options of the CUDA execution provider, in ONNX Runtime's own words.
    cuda: Mapping[str, str] = field(default_factory=dict)
    #: The deadline of a call whose caller named none. None: the server's default.
    default_deadline_ms: float | None = None
    #: Refuse requests whose floating-point inputs contain NaN.
    refuse_nan: bool = False
    #: Fail requests whose floating-point outputs contain NaN or infinity.
    finite_outputs: bool = False
    #: Requests that wait at most. None: the server's default.
    max_queue: int | None = None
    #: How its queue is scheduled. None: as the server's configuration says.
    scheduling: str | None = None
    #: Rows that a run may have, ascending; batches are filled up to the next. Empty: any.
    batch_buckets: tuple[int, ...] = ()
    #: Lengths of sequences, ascending; those in between are filled up to the next. Empty: any.
    sequence_buckets: tuple[int, ...] = ()
    #: What inputs are filled up with, by name; the name "" is for those without another.
    sequence_pad: Mapping[str, float] = field(default_factory=dict)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if _WHOLE.fullmatch(text) and least <= int(text) <= most:
            return int(text)
        raise ValueError(f"must be a whole number from {least} to {most}")

    return read


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError("must be 0, 1, false or true")
    return _FLAGS[text.lower()]


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError("must be a positive number of milliseconds")
    return value


def _scheduling(text: str) -> str:
    if text not in SCHEDULING:
        raise ValueError(f"must be one of {', '.join(SCHEDULING)}")
    return text


def _ascending(most: int) -> Callable[[str], tuple[int, ...]]:
    def read(text: str) -> tuple[int, ...]:
        parts = [part.strip() for part in text.split(",")]
        sizes = [int(part) for part in parts if _WHOLE.fullmatch(part)]
        if len(sizes) < len(parts) or sizes != sorted({*sizes}) or not 1 <= sizes[0] <= sizes[-1]:
            raise ValueError("must be whole numbers from 1 in ascending order, like 1,4,16")
        if sizes[-1] > most or len(sizes) > MAX_BUCKETS:
            raise ValueError(f"must be at most {MAX_BUCKETS} numbers up to {most}")
        return tuple(sizes)

    return read


def _pads(text: str) -> dict[str, float]:
    """Read `1`, or `input_ids=1,segment_ids=0`."""
    pads: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.rpartition("=")
        try:
            pads[name.strip()] = float(value)
        except ValueError:
            pads[name] = math.nan
    if not all(map(math.isfinite, pads.values())):
        raise ValueError("must be a number, or numbers by input, like input_ids=1,segment_ids=0")
    return pads


def _shrinkage(text: str) -> str:
    if not _SHRINKAGE.fullmatch(text):
        raise ValueError("must list devices, like cpu:0;gpu:0")
    return text


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in map(str, range(len(names))):
            known = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
            raise ValueError(f"must be one of {known}")
        return names[int(text)]

    return read


def _digit(text: str) -> str:
    return "1" if _flag(text) else "0"


_THREADS = _whole(0, 1024)

OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "intra_op_thread_count": ("intra_op_threads", _THREADS),
    "inter_op_thread_count": ("inter_op_threads", _THREADS),
    "execution_mode": ("parallel", _flag),
    "enable_mem_arena": ("memory_arena", _flag),
    "enable_mem_pattern": ("memory_pattern", _flag),
    "memory.enable_memory_arena_shrinkage": ("arena_shrinkage", _shrinkage),
    "inferd.default_deadline_ms": ("default_deadline_ms", _milliseconds),
    "inferd.refuse_nan": ("refuse_nan", _flag),
    "inferd.finite_outputs": ("finite_outputs", _flag),
    "inferd.max_queue": ("max_queue", _whole(1, 1_000_000)),
    "inferd.scheduling": ("scheduling", _scheduling),
    BATCH_BUCKETS: ("batch_buckets", _ascending(MAX_ROWS)),
    SEQUENCE_BUCKETS: ("sequence_buckets", _ascending(MAX_LENGTH)),
    SEQUENCE_PAD: ("sequence_pad", _pads),
}
"""Key: the field of `Options`, and how to read it."""

CUDA: Mapping[str, Callable[[str], str]] = {
    "cudnn_conv_algo_search": _one_of("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "gpu_mem_limit": lambda text: str(_whole(1, 2**64 - 1)(text)),
    "arena_extend_strategy": _one_of("kNextPowerOfTwo", "kSameAsRequested"),
    "do_copy_in_default_stream": _digit,
}
"""Key, the same as ONNX Runtime's: how Triton's way of writing the value becomes its."""


def options_from(parameters: Mapping[str, str]) -> tuple[Options, list[Problem]]:
    """Read all parameters; what cannot be read is left at its default and told."""
    values: dict[str, Any] = {}
    cuda: dict[str, str] = {}
    session: dict[str, str] = {}
    problems: list[Problem] = []
    for key, text in parameters.items():
        try:
            if key in OPTIONS:
                name, read = OPTIONS[key]
                values[name] = read(text)
            elif key in CUDA:
                cuda[key] = CUDA[key](text)
            else:
                session[key] = _session_entry(key, text)
        except ValueError as error:
            problems.append((f"parameters[{shown(key)}]", f"{error}, got {shown(text)}"))
    return Options(**values, cuda=cuda, session=session), problems


def _session_entry(key: str, text: str) -> str:
    if not key.startswith(SESSION) or len(key) > 128:
        near = get_close_matches(key[:128], [*OPTIONS, *CUDA], n=1)
        raise ValueError(
            "is not a known parameter" + (f" (did you mean {near[0]}?)" if near else "")
        )
    if _NAMES_FILES.search(key):
        raise ValueError("is not supported: it makes ONNX Runtime read or write other files")
    if not text or len(text) > 1024:
        raise ValueError("must have a value of 1 to 1024 characters")
    return text
