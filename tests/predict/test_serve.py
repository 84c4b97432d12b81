"""The page of ``python -m minicnn.predict --serve``, and who may ask it."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn import models, predict
from minicnn.predict.classifier import Classifier
from minicnn.predict.serve import MOST_BYTES, Server, serve
from minicnn.train.run import Run

Image = pytest.importorskip("PIL.Image")
NAMES = ("left", "</script>", "right", "other")
HIGH, WIDE = 14, 9


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A net that answers by where the light is: in the left, middle or right third."""
    net = models.mlp(hidden=(), image_shape=(1, HIGH, WIDE), classes=len(NAMES))
    weight = np.zeros((len(NAMES), HIGH, WIDE), np.float32)
    for k in range(3):
        weight[k, :, 3 * k : 3 * k + 3] = 1
    next(net.parameters()).data = weight.reshape(len(NAMES), -1)
    with Server(Classifier(net, NAMES, (1, HIGH, WIDE)), "a net <of> thirds") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def ask(server: Server, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def png(light: slice) -> bytes:
    pixels = np.zeros((2 * HIGH, 2 * WIDE), np.uint8)
    pixels[6:20, light] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


# Requests -----------------------------------------------------------------------------------------


def test_a_picture_is_answered_with_probabilities_and_what_the_net_saw(server: Server) -> None:
    for k, light in enumerate((slice(0, 6), slice(6, 12), slice(12, 18))):
        status, headers, body = ask(server, "POST", "/predict", png(light))
        said = json.loads(body)
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert said["class"] == NAMES[k]
        assert np.argmax(said["probabilities"]) == k
        assert sum(said["probabilities"]) == pytest.approx(1)
        seen = np.array(said["seen"])
        assert seen.shape == (1, HIGH, WIDE)
        assert seen[0, 5, 3 * k + 1] == 255
        assert seen[0, 5, (3 * k + 4) % 9] == 0


def test_the_page_holds_all_that_it_needs(server: Server) -> None:
    status, headers, body = ask(server, "GET", "/")
    page = body.decode()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert page.count("</script>") == 2  # the name of a class ends no element
    assert '"title": "a net \\u003cof> thirds"' in page
    assert "http:" not in page
    assert "https:" not in page


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1:{port}", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1:{port}", "Origin": "null"},
        {"Host": "127.0.0.1:{port}", "Origin": "http://localhost:{port}"},
    ],
)
def test_another_site_is_refused(method: str, headers: dict[str, str], server: Server) -> None:
    told = {name: value.format(port=server.server_port) for name, value in headers.items()}
    status, _, body = ask(server, method, {"GET": "/", "POST": "/predict"}[method], b"", **told)
    assert status == 403
    assert json.loads(body) == {"error": f"wanted {server.url}, and no other name"}


def test_the_page_itself_may_ask_by_either_name(server: Server) -> None:
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{server.server_port}"
        told = {"Host": host, "Origin": f"http://{host}"}
        assert ask(server, "POST", "/predict", png(slice(0, 6)), **told)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "reason"),
    [
        ("GET", "/predict", None, {}, 404, "there is nothing but /"),
        ("GET", "/../pyproject.toml", None, {}, 404, "there is nothing but /"),
        ("POST", "/", b"", {}, 404, "wanted POST /predict"),
        ("POST", "/predict", b"", {"Content_Length": "many"}, 411, "wanted a Content-Length"),
        ("POST", "/predict", b"", {"Content_Length": "-1"}, 411, "wanted a Content-Length"),
        ("POST", "/predict", b"", {"Content_Length": str(MOST_BYTES + 1)}, 413, "at most 32 MB"),
        ("POST", "/predict", b"", {"Content_Length": "9" * 5000}, 413, "at most 32 MB"),
        ("POST", "/predict", b"", {}, 422, "an empty file"),
        ("POST", "/predict", b"no picture", {}, 422, "no picture"),
        ("POST", "/predict", png(slice(0, 6))[:60], {}, 422, "damaged"),
    ],
    ids=range(10),
)
def test_what_is_wrong_is_told(
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    reason: str,
    server: Server,
    capfd: pytest.CaptureFixture[str],
) -> None:
    got, _, said = ask(server, method, path, body, **headers)
    assert got == status
    assert reason in json.loads(said)["error"]
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_127_0_0_1_alone(server: Server) -> None:
    assert server.socket.getsockname() == ("127.0.0.1", server.server_port)
    for host in ("127.0.0.2", "::1"):  # which a server on all addresses would answer too
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with (
            socket.socket(family) as other,
            pytest.raises(OSError, match=r"refused|assign|support"),
        ):
            other.connect((host, server.server_port))


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    with pytest.raises(OSError, match=f"--port {server.server_port}"):
        Server(server.classifier, "", server.server_port)


# The command --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a run that has not learnt anything, on the sample."""
    folder = tmp_path_factory.mktemp("serve") / "run"
    config = {"model": "mlp", "model_args": {"hidden": [3]}, "dataset": "fashion-mnist-sample"}
    Run(folder, config, models.mlp(hidden=(3,)))
    return str(folder)


def test_the_command_says_where_and_ends_with_ctrl_c(
    run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    served: list[Server] = []

    def interrupted(server: Server) -> None:
        served.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert predict.main(["--run", run, "--serve"]) == 130
    (server,) = served
    said = capsys.readouterr()
    assert said.out == f"draw at {server.url} (Ctrl-C ends it)\n"
    assert said.err.endswith("python -m minicnn.predict: interrupted\n")
    assert opened == [server.url]
    assert server.socket.fileno() == -1  # closed
    assert b'"title": "run: mlp on fashion-mnist-sample"' in server.page
    with pytest.raises(KeyboardInterrupt):
        serve(server.classifier, "", open_browser=False)
    assert opened == [server.url]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["a.png"], "--serve: the page asks for pictures; wanted neither IMAGE nor --index"),
        (["--index", "3"], "--serve: the page asks for pictures; wanted neither IMAGE nor --index"),
        (["--port", "65536"], "--port is 65536; wanted 0 to 65535"),
        (["--port", "{taken}"], "--port {taken}"),
    ],
)
def test_a_slip_is_one_line_and_status_2(
    options: list[str], told: str, run: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = str(server.server_port)
    with pytest.raises(SystemExit) as ended:
        predict.main(["--run", run, "--serve", *(option.format(taken=taken) for option in options)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told.format(taken=taken) in line


# In a browser -------------------------------------------------------------------------------------

SETTLED = "() => !asking && !again && !blank"
SEEN = """() => [...$("seen").getContext("2d").getImageData(0, 0, 9, 14).data]
  .filter((_, k) => k % 4 === 0)"""


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Any]:
    """visit(scheme) opens the page; an error on it, or a request elsewhere, fails the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_page(scheme: str = "light", **options: Any) -> Any:
        contexts.append(browser.new_context(color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda m: errors.append(m.text) if m.type == "error" and "422" not in m.text else None,
        )
        page.on(
            "request",
            lambda r: None if r.url.startswith((server.url, "data:")) else errors.append(r.url),
        )
        page.goto(server.url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def draw(page: Any, across: float) -> list[str]:
    """Draw a line from top to bottom; the shares that the page then shows."""
    box = page.locator("#draw").bounding_box()
    x = box["x"] + across * box["width"]
    page.mouse.move(x, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(x, box["y"] + 0.8 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_function(SETTLED)
    return page.locator("#bars .share").all_inner_texts()


def test_drawing_changes_the_probabilities(visit: Any) -> None:
    page = visit()
    assert page.locator("#answer").inner_text() == "Nothing yet."
    assert page.locator("#bars .share").all_inner_texts() == ["–"] * 4
    left = draw(page, 0.15)
    assert page.locator("#answer b").inner_text() == "left"
    seen = np.array(page.evaluate(SEEN)).reshape(HIGH, WIDE)
    assert seen[7, 1] > 200
    assert seen[7, 4:].max() == 0
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#answer").inner_text() == "Nothing yet."
    right = draw(page, 0.85)
    assert page.locator("#answer b").inner_text() == "right"
    assert (left[0], left[2]) == (right[2], right[0]) != (left[2], left[0])


@pytest.mark.long
def test_the_keyboard_draws_and_reaches_everything(visit: Any) -> None:
    page = visit()
    for _ in range(2):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "draw":
            break
    for key in ("ArrowRight",) * 6 + ("Space",) + ("ArrowDown",) * 5:
        page.keyboard.press(key)
    assert "pen down at" in page.locator("#draw").get_attribute("aria-label")
    assert page.locator("#pen").is_visible()
    page.wait_for_function(SETTLED)
    assert page.locator("#answer b").inner_text() == "right"
    page.keyboard.press("Delete")
    assert page.locator("#answer").inner_text() == "Nothing yet."
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id"))
    assert reached == ["clear", "file"]


@pytest.mark.long
def test_a_picture_can_be_chosen_or_dropped(visit: Any) -> None:
    page = visit()
    page.locator("#file").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": png(slice(6, 12))}
    )
    page.wait_for_function(SETTLED)
    assert page.locator("#answer b").inner_text() == "</script>"
    dropped = """(bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "b.png", { type: "image/png" }));
      dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
    }"""
    page.evaluate(dropped, list(png(slice(12, 18))))
    page.wait_for_function(SETTLED)
    assert page.locator("#answer b").inner_text() == "right"
    page.evaluate(dropped, list(b"no picture"))
    page.wait_for_function("() => $('problem').textContent.includes('no picture')")
    page.evaluate(f"() => take(new File([new Uint8Array({MOST_BYTES + 1})], 'c.png'))")
    page.wait_for_function("() => $('problem').textContent.includes('at most 32 MB')")


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_an_accessibility_checker_finds_nothing(scheme: str, width: int, visit: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(scheme, viewport={"width": width, "height": 800})
    for _ in range(2):
        found = axe.run(page).response["violations"]
        assert [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found] == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        draw(page, 0.5)
