"""What a user of Triton's own client does, as a program: prints what came of it as JSON.

python tests/support/triton_script.py 127.0.0.1:8001
"""

import json
import sys
import threading
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

TIMEOUT_S = 30.0


def an_input(name: str, array: NDArray[Any], datatype: str) -> triton.InferInput:
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def simple(client: triton.InferenceServerClient) -> dict[str, Any]:
    ones, counting = np.ones((1, 16), np.int32), np.arange(16, dtype=np.int32)[None]
    inputs = [an_input("INPUT0", counting, "INT32"), an_input("INPUT1", ones, "INT32")]
    answer = client.infer("simple", inputs, request_id="7", client_timeout=TIMEOUT_S)
    return {
        "sum": answer.as_numpy("OUTPUT0")[0].tolist(),
        "difference": answer.as_numpy("OUTPUT1")[0].tolist(),
        "id": answer.get_response().id,
    }


def text(client: triton.InferenceServerClient) -> list[str]:
    words = np.array([["", "grüß", "a\0b", "x" * 1000]], np.object_)
    inputs = [an_input("INPUT0", words, "BYTES")]
    answer = client.infer("identity_bytes", inputs, client_timeout=TIMEOUT_S)
    return [element.decode() for element in answer.as_numpy("OUTPUT0")[0]]


def classes(client: triton.InferenceServerClient) -> list[str]:
    scores = np.array([[0.1, 0.5, 0.25, 0.15]], np.float32)
    inputs = [an_input("INPUT0", scores, "FP32")]
    wanted = [triton.InferRequestedOutput("OUTPUT0", class_count=2)]
    answer = client.infer("classifier", inputs, outputs=wanted, client_timeout=TIMEOUT_S)
    return [element.decode() for element in answer.as_numpy("OUTPUT0")[0]]


def unknown(client: triton.InferenceServerClient) -> dict[str, str]:
    try:
        client.infer("nosuch", [an_input("INPUT0", np.ones((1, 1), np.float32), "FP32")])
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return {}


def stream(client: triton.InferenceServerClient) -> list[Any]:
    answers: list[Any] = []
    done = threading.Event()

    def on_answer(result: triton.InferResult | None, error: Exception | None) -> None:
        answers.append(result.as_numpy("OUTPUT0")[0].tolist() if result else str(error))
        if len(answers) == 3:
            done.set()

    client.start_stream(on_answer)
    for index in (0, 99, 3):
        tensor = an_input("INDEX", np.array([[index]], np.int64), "INT64")
        client.async_stream_infer("poison", [tensor])
    done.wait(TIMEOUT_S)
    client.stop_stream()
    return answers


def main(url: str) -> None:
    with triton.InferenceServerClient(url) as client:
        facts = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": client.is_model_ready("simple"),
            "simple": simple(client),
            "text": text(client),
            "classes": classes(client),
            "unknown": unknown(client),
            "stream": stream(client),
            "config": client.get_model_config("simple", as_json=True)["config"]["max_batch_size"],
        }
    print(json.dumps(facts))  # noqa: T201 - how it answers


if __name__ == "__main__":
    main(sys.argv[1])
