"""What one process tells machines of itself, put together: the only wiring of figures and health."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

import structlog
from prometheus_client.registry import Collector

from jarvis.monitoring.health import Health
from jarvis.monitoring.merging import exposition, plain_text, registry_of
from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.monitoring.process_series import ProcessSeries
from jarvis.monitoring.server import Answer, MonitoringServer
from jarvis.monitoring.textfile import Textfile
from jarvis.settings_monitoring import MonitoringSettings

log = structlog.get_logger("monitoring")

#: How often a supervisor hears figures, and how often an address that was taken is tried again.
TELL_SECONDS = 5.0
#: What asks a broker that is silent takes longer; the process that ends does not wait for it.
LEAVE_SECONDS = 2.0
#: A file is for scrapers that come every 15 seconds or more seldom; written with every third telling.
TEXTFILE_TELLINGS = 3
#: By kind of process, how far its port lies above that of `monitoring.listen` where it runs by itself.
_PORTS = {"supervisor": 0, "worker": 0, "scheduler": 1, "broker": 2}


class Monitor:
    """Serves the figures and the health of a process, or tells them to its supervisor, and writes the textfile, until it is left. The
    main loop calls `look` each time it goes round."""

    def __init__(self, settings: MonitoringSettings, process: str, kind: str, sources: Iterable[Collector] = (), *, pipe: SupervisorPipe | None = None) -> None:
        self.health = Health(process)
        self._pipe = SupervisorPipe.of_environment() if pipe is None else pipe
        self._registry = registry_of([ProcessSeries(self.health, kind), *sources])
        # Below a supervisor its server and its file are enough.
        alone = not self._pipe.connected
        self._listen = _address(settings.listen, _PORTS[kind]) if settings.listen is not None and alone else None
        self._textfile = Textfile(settings.textfile, process) if settings.textfile is not None and alone else None
        self._server: MonitoringServer | None = None
        self._warned = False
        self._told_problems: Mapping[str, str] | None = None
        self._ended = False
        #: Set where figures are to be told at once.
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._tell_forever, name="monitor", daemon=True)

    def look(self, problem: str | None) -> None:
        """The main loop has gone round; `problem` says why the process is not ready."""
        self.look_at_all({} if problem is None else {self.health.process: problem})

    def look_at_all(self, problems: Mapping[str, str]) -> None:
        """The same of a supervisor: `problems` by process."""
        self.health.says(problems)
        if problems != self._told_problems and self._pipe.tell({"not_ready": problems.get(self.health.process)}):
            self._told_problems = dict(problems)
            self._wake.set()

    @property
    def address(self) -> str | None:
        """Where it is served; None where it is not."""
        return None if self._server is None else self._server.address

    def __enter__(self) -> Self:
        self._listen_if_free()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join(LEAVE_SECONDS)
        if self._server is not None:
            self._server.stop()
        if self._textfile is not None:
            self._textfile.remove()

    def _tell_forever(self) -> None:
        tellings = 0
        while not self._ended:
            try:
                if self._server is None:
                    self._listen_if_free()
                if self._pipe.connected:
                    self._pipe.tell({"figures": plain_text(self._registry)})
                if self._textfile is not None and tellings % TEXTFILE_TELLINGS == 0:
                    self._textfile.write(plain_text(self._registry))
            except Exception:  # figures that fail must not end the process that they are of
                log.exception("the figures could not be told, trying again", in_seconds=TELL_SECONDS)
            tellings += 1
            self._wake.wait(TELL_SECONDS)
            self._wake.clear()

    def _listen_if_free(self) -> None:
        if self._listen is None:
            return
        host, port = self._listen
        try:
            server = MonitoringServer(host, port, {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz})
        except OSError as error:
            if not self._warned:
                self._warned = True
                self._say_why_not(f"{host}:{port}", error)
            return
        self._server = server
        server.start()
        log.info("figures and health are served", metrics=f"http://{server.address}/metrics")

    @staticmethod
    def _say_why_not(address: str, error: OSError) -> None:
        if error.errno == errno.EAFNOSUPPORT:
            # A unit without a network is meant to be so.
            log.info("figures and health are not served: this process may open no network socket", address=address)
            return
        log.warning(
            "figures and health are not served: the address cannot be listened on; set monitoring.listen to another, or to nothing",
            address=address, error=error.strerror or str(error),
        )  # fmt: skip

    def _metrics(self, accept: str) -> Answer:
        content_type, body = exposition(self._registry, accept)
        return Answer(200, content_type, body)

    def _healthz(self, _accept: str) -> Answer:
        return self._health(ready=False)

    def _readyz(self, _accept: str) -> Answer:
        return self._health(ready=True)

    def _health(self, *, ready: bool) -> Answer:
        well, said = self.health.answer(ready=ready)
        return Answer(200 if well else 503, "application/json", (json.dumps(said, ensure_ascii=False) + "\n").encode())


def _address(listen: str, above: int) -> tuple[str, int]:
    """Host and port; 0 stays 0, which is any that is free."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port) + above if int(port) else 0
