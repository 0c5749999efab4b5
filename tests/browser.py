"""A headless Chromium, spoken to over its debugging port: pages looked at as people see them, and what they complain of."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from parts import wait_until
from websockets.sync.client import connect

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
#: CSS pixels of a window, and of a telephone.
WINDOW, PHONE = (1200, 900), (390, 844)


class Tab:
    """One page. `asked` are the addresses of its requests; `complaints` what the browser and the page's scripts said of errors."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and what it answers."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return dict(message["result"])
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        self._events.append(message)
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.asked.append(told["request"]["url"])
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"].get("exception", {}).get("description", told["exceptionDetails"]["text"])))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(str([argument.get("value") for argument in told["args"]]))

    def open(self, url: str) -> None:
        """Go there, and wait until everything that it asks for is there, too."""
        self.call("Page.navigate", url=url)
        wait_until(lambda: self.says("document.readyState === 'complete' && !document.querySelector('[data-later]:not(:has(#later))')"), f"{url} is loaded", 60)
        self.says("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def says(self, expression: str) -> Any:
        """The value of a script in the page; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def look(self, size: tuple[int, int] = WINDOW, *, dark: bool = False, media: str = "") -> None:
        """How it is seen from now on: in a window or on a telephone, light or dark, on a screen or on paper."""
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def browsing(folder: Path) -> Iterator[Tab]:
    """A tab of a browser of its own, for a block."""
    command = [
        str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking", "--no-first-run",
        "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = folder / "profile" / "DevToolsActivePort"
        wait_until(lambda: process.poll() is not None or (told.exists() and "\n" in told.read_text()), "the browser listens", 60)
        port = re.match(r"\d+", told.read_text())
        assert port is not None
        with urlopen(f"http://127.0.0.1:{port[0]}/json/list", timeout=30) as answer:
            [page] = [target for target in json.load(answer) if target["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(20)
