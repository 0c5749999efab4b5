"""The daemon as hardened units of systemd, with the drop-ins that a machine needs, and the wrapper for its operators."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from jarvis.errors import Refused
from jarvis.recipes import checks
from jarvis.recipes.plan import PlannedFile, Recipe, Step
from jarvis.recipes.redis import copy_command
from jarvis.recipes.sources import source, sources
from jarvis_client.contract.errors import Invalid

UNITS = "etc/systemd/system"
ALL, WORKER, SCHEDULER, WEB = (f"{UNITS}/{unit}.service.d" for unit in ("jarvis-", "jarvis-worker", "jarvis-scheduler", "jarvis-web"))
BROKER_UNIT, WEB_UNIT = f"{UNITS}/jarvis-broker.service", f"{UNITS}/jarvis-web.service"
TMPFILES = "etc/tmpfiles.d/jarvis.conf"
#: By the drop-in, where it goes. The broker's URL is read by the scheduler and the pages, too, which tell of the backlog.
DROP_INS = {
    "redis-tcp": (f"{WORKER}/50-redis.conf", f"{SCHEDULER}/50-redis.conf", f"{WEB}/50-redis.conf"),
    "redis-tls": (f"{WORKER}/50-redis.conf", f"{SCHEDULER}/50-redis.conf", f"{WEB}/50-redis.conf"),
    "redis-unix": (f"{WORKER}/50-redis.conf", f"{SCHEDULER}/50-redis.conf", f"{WEB}/50-redis.conf"),
    "engine": (f"{ALL}/50-engine.conf",),
    "second-path": (f"{SCHEDULER}/60-second-path.conf",),
    "network": (f"{SCHEDULER}/60-network.conf",),
    "web": (f"{WEB}/60-web.conf",),
    "metrics-http": (f"{ALL}/70-metrics-http.conf",),
    "metrics-textfile": (f"{ALL}/70-metrics-textfile.conf",),
}
#: By the drop-in, the option that brings it; the others are of --broker.
OPTIONS = {"engine": "--engine-group", "second-path": "--second-path", "network": "--network", "web": "--web"}
OPTIONS |= {name: f"--{name}" for name in ("metrics-http", "metrics-textfile")}
_WHEEL = "jarvis_trading-*.whl"
#: A shell would take the brackets of the extra for a set of letters.
_WHEEL_WITH_PAGES = f'"$(echo {_WHEEL})[web]"'
#: Where systemd keeps StateDirectory=.
STATE_DIRECTORIES = "/var/lib/"


@dataclass(frozen=True)
class SystemdChoices:
    user: str = "jarvis"
    prefix: str = "/opt/jarvis"
    state: str = "/var/lib/jarvis"
    #: embedded, or how a Redis is reached: unix, tcp or tls.
    broker: str = "embedded"
    server: str = "redis"
    #: Addresses besides this machine's own that a Redis by TCP or TLS needs.
    allow: tuple[str, ...] = ()
    second_path: str | None = None
    network: bool = False
    #: Whose members may open the embedded broker's socket.
    engine_group: str | None = None
    metrics_http: bool = False
    metrics_textfile: str | None = None
    #: The pages, for this machine.
    web: bool = False


def systemd_recipe(folder: Path, choices: SystemdChoices) -> Recipe:
    """Raises `Invalid` for choices that cannot be, or not together; `Refused` where the folder has the units of a Redis."""
    _check(choices)
    embedded = choices.broker == "embedded"
    if embedded and (in_use := folder / DROP_INS["redis-tcp"][0]).exists():
        raise Refused(f"{in_use} is there, so the worker uses a Redis: say how with --broker, or remove that file and the scheduler's for the embedded one")
    drop_ins = [
        name for name, wanted in (
            (f"redis-{choices.broker}", not embedded), ("engine", choices.engine_group), ("second-path", choices.second_path),
            ("network", choices.network), ("web", choices.web), ("metrics-http", choices.metrics_http), ("metrics-textfile", choices.metrics_textfile),
        ) if wanted
    ]  # fmt: skip
    files = {f"{UNITS}/{name}": text for name, text in shipped_units(choices).items()}
    if not embedded:
        del files[BROKER_UNIT]
    files |= {target: _drop_in(name, choices) for name in drop_ins for target in DROP_INS[name]}
    if not choices.web:
        files = {path: text for path, text in files.items() if path != WEB_UNIT and not path.startswith(f"{WEB}/")}
    files["etc/sysusers.d/jarvis.conf"] = source("deploy/systemd/sysusers.conf")
    if choices.engine_group:
        files[TMPFILES] = source("deploy/systemd/tmpfiles.conf").replace(" engines ", f" {choices.engine_group} ")
    share = f"{choices.prefix[1:]}/share"
    for kind, ending in (("prometheus", ".yml"), ("grafana", ".json")):
        files |= {f"{share}/{kind}/{name}": text for name, text in sources(f"deploy/{kind}", ending).items()}
    files[f"{share}/prometheus/prometheus.yml"] = _scraped(files[f"{share}/prometheus/prometheus.yml"])
    pages = {f"{share}/docs/{name}": text for name, text in sources("docs", ".md").items()}
    programs = {"usr/local/sbin/jarvis-ctl": source("deploy/jarvis-ctl")}
    programs |= {f"{share}/ops/{name}": text for name, text in sources("deploy/ops", ".sh").items()}
    yours = {f"etc/jarvis/{name}": text for name, text in sources("config", ".yaml").items()}
    yours["etc/jarvis/environment"] = source("deploy/systemd/environment")
    planned = [PlannedFile(path, _fit(text, choices).encode()) for path, text in files.items()]
    planned += [PlannedFile(path, text.encode()) for path, text in pages.items()]
    planned += [PlannedFile(path, _fit(text, choices).encode(), 0o755) for path, text in programs.items()]
    planned += [PlannedFile(path, text.encode(), kept=True) for path, text in yours.items()]
    others = {BROKER_UNIT: "--broker embedded", WEB_UNIT: "--web", TMPFILES: "--engine-group"}
    others |= {target: OPTIONS.get(name, "--broker") for name, targets in DROP_INS.items() for target in targets}
    return Recipe(tuple(planned), tuple(_steps(folder, choices)), others)


def _scraped(example: str) -> str:
    """The example for Prometheus with the ports of the units, the same for every choice: a target that never answers would be an alert for ever."""
    before, marker, _ = example.partition("      # `jarvis up`")
    if not marker:
        raise ValueError("deploy/prometheus/prometheus.yml: the line of `jarvis up` is not where it was")
    head = before.replace("; of the two ways, the one for `jarvis up` is on.", ", with the units of `jarvis deploy systemd --metrics-http`.")
    return f'{head}      # Worker and scheduler; add "127.0.0.1:9466" where jarvis-broker runs.\n      - targets: ["127.0.0.1:9464", "127.0.0.1:9465"]\n'


def shipped_units(choices: SystemdChoices) -> dict[str, str]:
    """Every unit and the drop-in that all have in common, by their paths below systemd's folder."""
    common = "jarvis-.service.d/10-hardening.conf"
    texts = {**sources("deploy/systemd", ".service"), common: source(f"deploy/systemd/{common}")}
    return {name: _fit(text, choices) for name, text in texts.items()}


def _check(choices: SystemdChoices) -> None:
    checks.name(choices.user, "--user")
    for option, path in (("--prefix", choices.prefix), ("--state", choices.state), ("--second-path", choices.second_path)):
        if path is not None:
            checks.whole_path(path, option)
    if choices.metrics_textfile is not None:
        checks.whole_path(choices.metrics_textfile, "--metrics-textfile")
    for address in choices.allow:
        checks.network(address, "--allow")
    if choices.allow and choices.broker not in ("tcp", "tls"):
        raise Invalid(f"--allow names addresses, and a broker that is {choices.broker} needs none; give --broker tcp or tls with it, or leave it out")
    if choices.engine_group is not None:
        checks.name(choices.engine_group, "--engine-group")
        if choices.broker != "embedded":
            raise Invalid(f"--engine-group opens the embedded broker's socket, and --broker is {choices.broker}; leave one of the two out")


def _drop_in(name: str, choices: SystemdChoices) -> str:
    text = source(f"deploy/systemd/drop-ins/{name}.conf")
    if choices.second_path is not None:
        text = text.replace("/mnt/other/jarvis", choices.second_path)
    if choices.metrics_textfile is not None:
        text = text.replace("/var/lib/prometheus/node-exporter", choices.metrics_textfile)
    if name in ("redis-tcp", "redis-tls"):
        text += "".join(f"IPAddressAllow={address}\n" for address in choices.allow)
    return text


def _fit(text: str, choices: SystemdChoices) -> str:
    """A text of deploy/ for another user, other folders, another server than it was written for."""
    if choices.state != "/var/lib/jarvis":
        text = text.replace("StateDirectory=jarvis\nStateDirectoryMode=0700\n", _state_directory(choices.state))
    for before, after in (
        ("/var/lib/jarvis", choices.state), ("/opt/jarvis", choices.prefix), ("User=jarvis\n", f"User={choices.user}\n"),
        ("Group=jarvis\n", f"Group={choices.user}\n"), ("u jarvis ", f"u {choices.user} "), ("2750 jarvis ", f"2750 {choices.user} "),
        ("root:jarvis", f"root:{choices.user}"), ("Groups=redis\n", f"Groups={choices.server}\n"), ("redis-server", f"{choices.server}-server"),
    ):  # fmt: skip
        text = text.replace(before, after)
    return text


def _state_directory(state: str) -> str:
    if state.startswith(STATE_DIRECTORIES):
        return f"StateDirectory={state.removeprefix(STATE_DIRECTORIES)}\nStateDirectoryMode=0700\n"
    return f"ReadWritePaths={state}\n"


def _steps(folder: Path, choices: SystemdChoices) -> list[Step]:
    user, program = choices.user, Path(choices.prefix, "bin", "jarvis")
    steps = []
    if folder != Path("/"):
        steps.append(Step("Put these files in their places, as root:", (copy_command(folder),)))
    if not program.exists():
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        steps.append(Step(
            "Install jarvis where the units look for it, from the wheel that you have:",
            (f"{python} -m venv {choices.prefix}", f"{choices.prefix}/bin/pip install {_WHEEL_WITH_PAGES if choices.web else _WHEEL}"),
        ))  # fmt: skip
    commands = ["systemd-sysusers jarvis.conf"]
    if not choices.state.startswith(STATE_DIRECTORIES):
        commands.append(f"install -d -m 700 -o {user} -g {user} {choices.state}")
    if choices.second_path is not None:
        commands.append(f"install -d -m 700 -o {user} -g {user} {choices.second_path}")
    steps.append(Step(f"Make the user {user}{' and the folders' if len(commands) > 1 else ''}:", tuple(commands)))
    if choices.engine_group is not None:
        steps.append(Step(
            f"Make the broker's folder; the engine's user has to be in the group {choices.engine_group}, and publishes to unix:///run/jarvis/valkey.sock:",
            (f"groupadd --force --system {choices.engine_group}", "systemd-tmpfiles --create jarvis.conf"),
        ))  # fmt: skip
    if choices.second_path is not None:
        steps.append(Step(f"In /etc/jarvis/database.yaml, set database.backup.second.path to {choices.second_path}, which needs its disk mounted."))
    if choices.broker != "embedded" and not (folder / "etc/jarvis/broker-url").exists():
        steps.append(Step("Put the Redis's URL into /etc/jarvis/broker-url, mode 600 (jarvis deploy redis makes one, with the users of the Redis)."))
    if choices.broker == "tls":
        steps.append(Step(
            "Put ca.crt, client.crt and client.key into /etc/jarvis/tls, readable by the services:",
            (f"chown root:{user} /etc/jarvis/tls/*", "chmod 640 /etc/jarvis/tls/*"),
        ))  # fmt: skip
    if choices.broker != "embedded" and (folder / BROKER_UNIT).exists():
        steps.append(Step("Once nothing is queued in the embedded broker any more, end it:", ("systemctl disable --now jarvis-broker",)))
    parts = [*(["broker"] if choices.broker == "embedded" else []), "worker", "scheduler", *(["web"] if choices.web else [])]
    units = " ".join(f"jarvis-{part}" for part in parts)
    steps.append(Step("Start it:", ("systemctl daemon-reload", f"systemctl enable --now {units}")))
    if choices.web:
        steps.append(Step("The pages are at http://127.0.0.1:8787, or where web.listen says; from another machine, after: ssh -L 8787:127.0.0.1:8787 HOST"))
    steps.append(Step("Look at it; jarvis-ctl runs any command as the services do:", ("jarvis-ctl doctor", "jarvis-ctl verify")))
    return steps
