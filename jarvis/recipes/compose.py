"""A container of the daemon with a Valkey beside it and, as a profile, Prometheus and Grafana."""

from __future__ import annotations

import secrets
from pathlib import Path

from jarvis.errors import Refused
from jarvis.recipes.passwords import PASSWORD_BYTES, Passwords
from jarvis.recipes.plan import PlannedFile, Recipe, Step
from jarvis.recipes.redis import RedisChoices, url_of, users_acl
from jarvis.recipes.sources import source, sources
from jarvis_client.contract.errors import Invalid

#: By user, the file that has its password. The worker's is read by `docker compose` itself.
PASSWORD_FILES = {"worker": ".env", "publisher": "publisher-url", "operator": "operator-url", "admin": "admin-url"}
WHEELS = "jarvis_trading-*.whl"
#: The image is built of these alone; what is not named never reaches the builder, secrets least of all.
DOCKERIGNORE = f"*\n!config\n!{WHEELS}\n"


def compose_recipe(folder: Path, wheel: Path | None = None) -> Recipe:
    """`wheel`: the file that the image installs. Raises `Invalid` where it is none, `Refused` as `Passwords` does."""
    passwords = Passwords(folder, PASSWORD_FILES)
    files = {
        "compose.yaml": source("deploy/container/compose.yaml"), "Dockerfile": source("deploy/container/Dockerfile"), ".dockerignore": DOCKERIGNORE,
        "valkey/valkey.conf": source("deploy/container/valkey.conf"), "valkey/users.acl": users_acl(passwords).decode(),
        "grafana/provisioning/datasources/prometheus.yaml": source("deploy/grafana/container/datasource.yaml"),
        "grafana/provisioning/dashboards/jarvis.yaml": source("deploy/grafana/container/dashboards.yaml"),
    }  # fmt: skip
    files |= {f"prometheus/{name}": text for name, text in sources("deploy/prometheus", ".yml").items()}
    # In a container the daemon has another address than on a machine.
    files["prometheus/prometheus.yml"] = source("deploy/prometheus/container/prometheus.yml")
    files |= {f"grafana/dashboards/{name}": text for name, text in sources("deploy/grafana", ".json").items()}
    planned = [PlannedFile(path, text.encode()) for path, text in files.items()]
    planned += [PlannedFile(f"config/{name}", text.encode(), kept=True) for name, text in sources("config", ".yaml").items()]
    environment = f"WORKER_PASSWORD={passwords['worker']}\nGRAFANA_PASSWORD={secrets.token_urlsafe(PASSWORD_BYTES)}\n"
    planned.append(PlannedFile(".env", environment.encode(), 0o600, kept=True, secret=True))
    # For engines on this machine; in a container of the same network, the host is valkey.
    planned += [
        PlannedFile(file, f"{url_of(user, passwords[user], RedisChoices())}\n".encode(), 0o600, secret=True)
        for user, file in PASSWORD_FILES.items() if user != "worker"
    ]  # fmt: skip
    if wheel is not None:
        planned.append(_wheel(folder, wheel))
    return Recipe(tuple(planned), tuple(_steps(folder, wheel)))


def _wheel(folder: Path, wheel: Path) -> PlannedFile:
    if not wheel.match(WHEELS) or not wheel.is_file():
        raise Invalid(f"--wheel is {wheel}; name the file of the wheel that the image is to install, {WHEELS}")
    if other := [path for path in folder.glob(WHEELS) if path.name != wheel.name]:
        raise Refused(f"{other[0]} is there too, and the image installs what it finds; remove the one that it is not to have")
    return PlannedFile(wheel.name, wheel.read_bytes())


def _steps(folder: Path, wheel: Path | None) -> list[Step]:
    steps = []
    if wheel is None and not list(folder.glob(WHEELS)):
        steps.append(Step("Put the wheel that the image installs beside the Dockerfile. From a checkout:", (f"pip wheel --no-deps --wheel-dir {folder} .",)))
    return [
        *steps,
        Step("Build the image and start the daemon with its Valkey:", (f"cd {folder}", "docker compose up --detach --build")),
        Step("With Prometheus (127.0.0.1:9090) and Grafana (127.0.0.1:3000, user admin, password in .env):", (
            "docker compose --profile monitoring up --detach",
        )),
        Step("Look at it; any command runs in the container as the daemon does:", ("docker compose exec daemon jarvis verify",)),
        Step("Hand the content of publisher-url to the engines on this machine, and of operator-url to whoever may ask for jobs; admin-url may do anything."),
    ]  # fmt: skip
