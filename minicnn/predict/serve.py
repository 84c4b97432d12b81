"""``python -m minicnn.predict --serve``: a page to draw on, for this computer only.

The server listens on 127.0.0.1 and answers requests for that name alone. A page of another site
whose name leads here (DNS rebinding) says another ``Host``, and a form of another site another
``Origin``: both are refused.
"""

from __future__ import annotations

import json
import sys
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from numpy.typing import NDArray

from minicnn.command import in_a_line
from minicnn.predict.classifier import Classifier, Prediction
from minicnn.terminal import complain, say

HOST = "127.0.0.1"
MOST_BYTES = 32 * 2**20  # of a picture's file
PATIENCE = 30  # seconds that a request may take to come in
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(classifier: Classifier, title: str, port: int = 0, open_browser: bool = True) -> None:
    """Serve the page until Ctrl-C, which is raised.

    Args:
        title: what the page says of the net.
        port: 0: any that is free.

    Raises:
        OSError: the port is taken.
        ValueError: it is above 65535.
    """
    with Server(classifier, title, port) as server:
        say(f"draw at {server.url} (Ctrl-C ends it)")
        if open_browser:
            webbrowser.open(server.url)
        server.serve_forever()


class Server(ThreadingHTTPServer):
    """The page, and what the net says of the pictures that it sends.

    ``GET /`` is the page. ``POST /predict`` takes the bytes of a picture's file, and answers with
    ``answer`` of its prediction as JSON, or with a status and ``{"error": ...}``.

    Attributes:
        url: where it listens.
    """

    daemon_threads = True  # a request that is under way does not keep the command from ending

    def __init__(self, classifier: Classifier, title: str, port: int = 0):
        if not 0 <= port < 2**16:
            raise ValueError(f"--port is {port}; wanted 0 to 65535")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"--port {port}") from error
        self.classifier, self.page = classifier, page(classifier, title)
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.url = f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line; none of a reader that has gone away."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            complain(f"python -m minicnn.predict: {in_a_line(error)}")


def page(classifier: Classifier, title: str) -> bytes:
    """The page, with what its script has to know of the net."""
    setup = {
        "classes": classifier.classes,
        "shape": classifier.shape,
        "light": classifier.looks is None or classifier.looks.light,
        "title": title,
        "most": MOST_BYTES,
    }
    text = files("minicnn.predict").joinpath("page.html").read_text(encoding="utf-8")
    # no name of a class can end the element that the data stand in
    return text.replace("{{setup}}", json.dumps(setup).replace("<", "\\u003c")).encode()


def answer(classifier: Classifier, prediction: Prediction) -> dict[str, Any]:
    """What the page shows: pixels are 0..255, [channel][row][column]."""
    train = classifier.neighbours.train if classifier.neighbours else None
    return {
        **prediction.as_dict(),
        "probabilities": prediction.probabilities.tolist(),
        "seen": prediction.picture.tolist(),
        "nearest": [] if train is None else [
            {"class": classifier.classes[train.labels[k]], "seen": _channels(train.images[k])}
            for k in prediction.nearest
        ],
    }  # fmt: skip


def _channels(picture: NDArray[Any]) -> Any:
    return (picture[None] if picture.ndim == 2 else picture).tolist()


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE
    server: Server

    def do_GET(self) -> None:
        if self._is_from_here():
            if self.path == "/":
                self._send(200, "text/html; charset=utf-8", self.server.page)
            else:
                self._refuse(404, "there is nothing but /")

    def do_POST(self) -> None:
        if not self._is_from_here():
            return
        length = self.headers.get("Content-Length", "")
        if self.path != "/predict":
            self._refuse(404, "wanted POST /predict")
        elif not length.isdecimal():
            self._refuse(411, "wanted a Content-Length")
        elif len(length) > 20 or int(length) > MOST_BYTES:
            self._refuse(413, f"the file is too large; wanted at most {MOST_BYTES >> 20} MB")
        else:
            self._predict(self.rfile.read(int(length)))

    def _predict(self, content: bytes) -> None:
        classifier = self.server.classifier
        try:
            found = answer(classifier, classifier.predict(content))
        except (ValueError, MemoryError) as error:  # no picture; a picture that is too large
            self._refuse(422, in_a_line(error))
        else:
            self._send(200, "application/json", json.dumps(found).encode())

    def _is_from_here(self) -> bool:
        """Refuse a request that another site has caused."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host in self.server.names and origin in (None, f"http://{host}"):
            return True
        self._refuse(403, f"wanted {self.server.url}, and no other name")
        return False

    def _refuse(self, status: int, reason: str) -> None:
        self._send(status, "application/json", json.dumps({"error": reason}).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not reported."""
