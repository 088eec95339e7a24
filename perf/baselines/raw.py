"""The raw baseline: ONNX Runtime in a loop, with no server around it. The limit.

Prints one JSON object: rows per second and microseconds per run for each batch size.
"""

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inferd_perf.repository import model_files

NUMPY_OF = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
Feeds = dict[str, NDArray[Any]]


def feeds_of(session: ort.InferenceSession, batch: int) -> Feeds:
    """Return random inputs of `batch` rows; other free dimensions are 1."""
    rng = np.random.default_rng(0)
    feeds: Feeds = {}
    for arg in session.get_inputs():
        free = [dim if isinstance(dim, int) else 1 for dim in arg.shape]
        shape = (batch, *free[1:])
        feeds[arg.name] = rng.standard_normal(shape).astype(NUMPY_OF[arg.type])
    return feeds


def runs_in(session: ort.InferenceSession, feeds: Feeds, seconds: float) -> int:
    """Run again and again for `seconds`; return how often."""
    names = [output.name for output in session.get_outputs()]
    until = time.perf_counter() + seconds
    runs = 0
    while time.perf_counter() < until:
        session.run(names, feeds)
        runs += 1
    return runs


def runs_per_second(sessions: list[ort.InferenceSession], batch: int, seconds: float) -> float:
    """Return the runs per second of all sessions together, each on its own thread."""
    feeds = feeds_of(sessions[0], batch)
    counts = [0] * len(sessions)

    def work(i: int) -> None:
        counts[i] = runs_in(sessions[i], feeds, seconds)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(sessions))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def measure(path: Path, args: argparse.Namespace) -> list[dict[str, float]]:
    """Measure every batch size, each after a short warm-up."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    sessions = [
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for _ in range(args.instances)
    ]
    points = []
    for batch in args.batch:
        runs_per_second(sessions, batch, args.seconds / 5)
        rate = runs_per_second(sessions, batch, args.seconds)
        run_us = 1e6 * args.instances / rate
        points.append({"batch": batch, "rows_per_s": rate * batch, "run_us": run_us})
    return points


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Raw ONNX Runtime in a loop, as JSON.")
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads of one run")
    parser.add_argument("--instances", type=int, default=1, help="sessions run side by side")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--seconds", type=float, default=0.5, help="per batch size")
    args = parser.parse_args()
    files = model_files(args.repository)
    if args.model not in files:
        parser.error(f"no model '{args.model}' in {args.repository}")
    print(json.dumps({"model": args.model, "points": measure(files[args.model], args)}))


if __name__ == "__main__":
    main()
