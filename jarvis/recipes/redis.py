"""A Redis or Valkey for jarvis alone, as an instance of its own beside whatever else runs: its settings, its users, the URL of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jarvis.recipes import checks
from jarvis.recipes.passwords import Passwords
from jarvis.recipes.plan import PlannedFile, Recipe, Step
from jarvis.recipes.sources import source
from jarvis_client.contract.address import unix_url
from jarvis_client.contract.errors import Invalid

#: By user, the file of its URL. The worker's has the name under which units load it.
URL_FILES = {"worker": "broker-url", "publisher": "publisher-url", "operator": "operator-url", "admin": "admin-url"}
CLIENT_CERTIFICATE = "ssl_ca_certs=/etc/jarvis/tls/ca.crt&ssl_certfile=/etc/jarvis/tls/client.crt&ssl_keyfile=/etc/jarvis/tls/client.key"


@dataclass(frozen=True)
class RedisChoices:
    #: How worker and engines reach it: unix, tcp or tls.
    broker: str = "tcp"
    #: redis or valkey: what the package of the distribution calls its user, folders and units.
    server: str = "redis"
    #: The name in its certificate, with tls; the others are reached on this machine only.
    host: str | None = None
    namespace: str = "dramatiq"


def users_acl(passwords: Passwords, namespace: str = "dramatiq") -> bytes:
    """The users with their rights, for one namespace of keys."""
    return passwords.put_into(source("deploy/redis/users.acl").replace("~dramatiq:", f"~{namespace}:")).encode()


def url_of(user: str, password: str, choices: RedisChoices) -> str:
    """The broker's URL for a user."""
    if choices.broker == "unix":
        socket = unix_url(Path(f"/run/{choices.server}-jarvis/{choices.server}-server.sock"))
        return socket.replace("//", f"//{user}:{password}@", 1)
    if choices.broker == "tls":
        return f"rediss://{user}:{password}@{choices.host}:6379/0?{CLIENT_CERTIFICATE}"
    return f"redis://{user}:{password}@127.0.0.1:6379/0"


def redis_recipe(folder: Path, choices: RedisChoices) -> Recipe:
    """Raises `Invalid` for a choice that cannot be, `Refused` where a URL's file that is there has no password of ours."""
    if (choices.broker == "tls") != (choices.host is not None):
        raise Invalid(
            f"--host {choices.host or 'is missing'} with --broker {choices.broker}; tls needs the name in the certificate, the others are of this machine"
        )
    if choices.host is not None:
        checks.host(choices.host, "--host")
    checks.namespace(choices.namespace, "--namespace")
    passwords = Passwords(folder, {user: f"etc/jarvis/{file}" for user, file in URL_FILES.items()})
    conf = source("deploy/redis/redis.conf") + (source("deploy/redis/tls.conf") if choices.broker == "tls" else "")
    for before in ("/etc/redis", "/var/lib/redis", "/run/redis", "redis-server.sock"):
        conf = conf.replace(before, before.replace("redis", choices.server))
    files = [
        PlannedFile(f"etc/{choices.server}/{choices.server}-jarvis.conf", conf.encode()),
        PlannedFile(f"etc/{choices.server}/users-jarvis.acl", users_acl(passwords, choices.namespace)),
    ]
    files += [PlannedFile(f"etc/jarvis/{file}", f"{url_of(user, passwords[user], choices)}\n".encode(), 0o600, secret=True) for user, file in URL_FILES.items()]
    return Recipe(tuple(files), tuple(_steps(folder, choices)))


def _steps(folder: Path, choices: RedisChoices) -> list[Step]:
    server = choices.server
    steps = [] if folder == Path("/") else [Step("Put these files in their places, as root:", (copy_command(folder),))]
    if choices.broker == "tls":
        steps.append(Step(f"Put server.crt, server.key and ca.crt into /etc/{server}/tls-jarvis, readable by the user {server}: docs/deploying.md, TLS."))
    steps += [
        Step(
            "Make its folder and start it. The packaged instance would keep the port, so it goes unless you need it:",
            (
                f"install -d -m 750 -o {server} -g {server} /var/lib/{server}/jarvis",
                f"systemctl disable --now {server}-server",
                f"systemctl enable --now {server}-server@jarvis",
            ),
        ),
        Step("The worker's URL is in /etc/jarvis/broker-url, where `jarvis deploy systemd --broker …` looks for it."),
        Step("Hand the content of /etc/jarvis/publisher-url to the engines, and of operator-url to whoever may ask for jobs; admin-url may do anything."),
    ]
    return steps


def copy_command(folder: Path) -> str:
    """Lays a folder over the root folder: folders that are there keep owner and mode, the files are root's."""
    return f"tar -C {folder} -c . | tar -C / -x --no-overwrite-dir --no-same-owner"
