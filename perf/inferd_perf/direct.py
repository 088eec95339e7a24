"""ONNX Runtime with no server around it: how long single runs take, and how that varies."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

_WARM_RUNS, _LEAST_RUNS = 3, 5
#: Of the deviations from the median; what is further off is another matter than noise.
_QUARTILE = 0.6745


@dataclass(frozen=True, slots=True)
class Timed:
    """The runs of one batch size."""

    rows: int
    median_s: float
    #: The standard deviation of the logarithm of the time, from the median deviation.
    spread: float


def summary_of(rows: int, times_s: Sequence[float]) -> Timed:
    """Return the middle of some times, and how far from it most of them are."""
    middle = median(times_s)
    deviations = [abs(math.log(each / middle)) for each in times_s]
    return Timed(rows, middle, median(deviations) / _QUARTILE if deviations else 0.0)


def _session(model: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _feeds(session: ort.InferenceSession, rows: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    feeds = {}
    for tensor in session.get_inputs():
        free = [dim if isinstance(dim, int) else 1 for dim in tensor.shape]
        feeds[tensor.name] = rng.standard_normal((rows, *free[1:])).astype(np.float32)
    return feeds


def _times(session: ort.InferenceSession, rows: int, seconds: float) -> list[float]:
    feeds = _feeds(session, rows)
    for _ in range(_WARM_RUNS):
        session.run(None, feeds)
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < _LEAST_RUNS or time.perf_counter() < until:
        began = time.perf_counter()
        session.run(None, feeds)
        found.append(time.perf_counter() - began)
    return found


def timed(
    model: Path, sizes: Sequence[int], *, threads: int, seconds: float, beside: int = 0
) -> list[Timed]:
    """Run a model of FP32 inputs at each batch size, for `seconds` each.

    `beside` other sessions run the same sizes meanwhile, to see what sharing cores costs.
    """
    sessions = [_session(model, threads) for _ in range(1 + beside)]
    return [_side_by_side(sessions, rows, seconds) for rows in sizes]


def _side_by_side(sessions: Sequence[ort.InferenceSession], rows: int, seconds: float) -> Timed:
    others = [
        threading.Thread(target=_times, args=(session, rows, seconds)) for session in sessions[1:]
    ]
    for other in others:
        other.start()
    found = _times(sessions[0], rows, seconds)
    for other in others:
        other.join()
    return summary_of(rows, found)
