"""Somebody who takes alerts over HTTP, and may be made to hang or to refuse them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANGS_S = 20.0
"""Longer than any fault lasts."""


class Webhook:
    """Counts what it takes."""

    def __init__(self) -> None:
        #: Not set: whoever calls hears nothing.
        self.answers = threading.Event()
        self.answers.set()
        self.status = 200
        self.taken = 0
        self.port = 0


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Serve for as long as the block lasts."""
    it = Webhook()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            it.answers.wait(HANGS_S)
            it.taken += it.status == 200
            self.send_response(it.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: whoever calls is killed now and then."""

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    it.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield it
    finally:
        it.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()
