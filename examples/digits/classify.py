"""Read handwritten digits through the server and print how many it got right.

The images are from those that `train.py` held out. Any Triton-compatible server that serves
`digits` will do; the client is Triton's own.

    .venv/bin/python examples/digits/classify.py --url 127.0.0.1:8001
"""

import argparse
import sys

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from tritonclient.utils import InferenceServerException

#: As in `train.py`.
HELD_OUT = slice(None, None, 4)


class Unanswered(Exception):
    """The server is not there, or it refused; the message says which."""


def classify(
    client: triton.InferenceServerClient,
    pixels: NDArray[np.float32],
    *,
    version: str,
    timeout_s: float,
) -> NDArray[np.int64]:
    """Ask which digits the server sees in [n, 64] raw pixels."""
    tensor = triton.InferInput("pixels", list(pixels.shape), "FP32")
    tensor.set_data_from_numpy(pixels)
    wanted = [triton.InferRequestedOutput("label")]
    try:
        answer = client.infer(
            "digits", [tensor], model_version=version, outputs=wanted, client_timeout=timeout_s
        )
    except InferenceServerException as error:
        raise Unanswered(f"{error.status()}: {error.message()}") from error
    labels: NDArray[np.int64] = answer.as_numpy("label")
    return labels[:, 0]


def require_digits(client: triton.InferenceServerClient, version: str) -> None:
    """Check that there is a server and that it serves the model."""
    try:
        ready = client.is_model_ready("digits", version)
    except InferenceServerException as error:
        raise Unanswered(f"no server answers ({error.message()})") from error
    if not ready:
        raise Unanswered("the server is there, but `digits` is not ready")


def held_out(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the first `count` images that were held out, and the digits they show."""
    pixels, labels = load_digits(return_X_y=True)
    return pixels[HELD_OUT][:count].astype(np.float32), labels[HELD_OUT][:count]


def accuracy(
    url: str,
    pixels: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    version: str,
    batch: int,
    timeout_s: float,
) -> float:
    """Measure the share of the images that the server at `url` reads correctly."""
    with triton.InferenceServerClient(url) as client:
        require_digits(client, version)
        answers = [
            classify(client, pixels[at : at + batch], version=version, timeout_s=timeout_s)
            for at in range(0, len(pixels), batch)
        ]
    return float(np.mean(np.concatenate(answers) == labels))


def main() -> int:
    """Print the accuracy, or say why there is none and return 1."""
    parser = argparse.ArgumentParser(description="Classify held-out digits through the server.")
    parser.add_argument("--url", default="127.0.0.1:8001", help="host:port (%(default)s)")
    parser.add_argument("--model-version", default="", help="the newest unless given")
    parser.add_argument("--images", type=int, default=300, help="1 to 450 (%(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="images per call (%(default)s)")
    parser.add_argument("--timeout-s", type=float, default=5.0, help="per call (%(default)s)")
    options = parser.parse_args()
    if options.images < 1 or options.batch < 1:
        parser.error("--images and --batch must be at least 1")
    pixels, labels = held_out(options.images)
    try:
        share = accuracy(
            options.url,
            pixels,
            labels,
            version=options.model_version,
            batch=options.batch,
            timeout_s=options.timeout_s,
        )
    except Unanswered as error:
        print(f"{options.url}: {error}", file=sys.stderr)
        return 1
    print(f"accuracy {share:.4f} on {len(labels)} held-out digits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
