"""`jarvis deploy`: what is written where, what is kept, what is refused."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

import command
import pytest
import yaml
from deployed import a_redis, laid, units, url_in

from jarvis.recipes.compose import compose_recipe
from jarvis.recipes.redis import URL_FILES
from jarvis.settings import load_settings

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def deploy(tmp_path):
    return command.Jarvis(tmp_path, "deploy")


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_file_of_the_sources_has_its_place(tmp_path):
    """A unit, a rule or a setting that somebody adds is not forgotten."""
    written = files(units(tmp_path, engine_group="g", second_path="/mnt/x", network=True, metrics_http=True, metrics_textfile="/var/lib/x", web=True))
    for path in [*(HOUSE / "config").glob("*.yaml"), *(HOUSE / "deploy" / "ops").glob("*.sh"), *(HOUSE / "deploy" / "systemd").glob("*.service")]:
        assert any(name.endswith(f"/{path.name}") and text == path.read_text() for name, text in written.items()), path.name
    drop_ins = {path.stem for path in (HOUSE / "deploy" / "systemd" / "drop-ins").glob("*.conf")}
    named = {name.split("-", 1)[1] for name in (Path(path).stem for path in written if re.search(r"\.d/[5-7]0-", path))}
    assert drop_ins - {"redis-tcp", "redis-tls", "redis-unix"} == named


@pytest.mark.parametrize(
    ("options", "drop_ins"),
    [
        ([], []),
        (["--broker", "tcp", "--allow", "10.0.0.5"], ["jarvis-scheduler.service.d/50-redis.conf", "jarvis-worker.service.d/50-redis.conf"]),
        (["--engine-group", "trading"], ["jarvis-.service.d/50-engine.conf"]),
        (["--second-path", "/mnt/disk/jarvis", "--network"], ["jarvis-scheduler.service.d/60-network.conf", "jarvis-scheduler.service.d/60-second-path.conf"]),
        (["--web"], ["jarvis-web.service.d/60-web.conf"]),
        (
            ["--web", "--broker", "unix"],
            [
                "jarvis-scheduler.service.d/50-redis.conf",
                "jarvis-web.service.d/50-redis.conf",
                "jarvis-web.service.d/60-web.conf",
                "jarvis-worker.service.d/50-redis.conf",
            ],
        ),
        (["--metrics-http"], ["jarvis-.service.d/70-metrics-http.conf"]),
        (["--metrics-textfile", "/var/lib/node"], ["jarvis-.service.d/70-metrics-textfile.conf"]),
    ],
)
def test_a_choice_brings_its_drop_ins_for_every_unit_that_needs_them(deploy, tmp_path, options, drop_ins):
    deploy("systemd", "--to", "tree", *options)
    units_folder = tmp_path / "tree" / "etc" / "systemd" / "system"
    assert sorted(str(p.relative_to(units_folder)) for p in units_folder.glob("*.d/*") if p.name != "10-hardening.conf") == drop_ins


def test_a_recipe_fits_the_machine_that_it_is_for(deploy, tmp_path):
    deploy(
        "systemd", "--to", "tree", "--user", "books", "--prefix", "/srv/jarvis", "--state", "/srv/books", "--broker", "unix", "--server", "valkey",
    )  # fmt: skip
    written = files(tmp_path / "tree")
    hardening = written["etc/systemd/system/jarvis-.service.d/10-hardening.conf"]
    assert {"User=books", "Group=books", "ReadWritePaths=/srv/books", "WorkingDirectory=/srv/books"} <= {*hardening.splitlines()}
    assert "StateDirectory" not in hardening
    assert "Environment=JARVIS_DATABASE__PATH=/srv/books/jarvis_trading.db" in hardening
    assert "SupplementaryGroups=valkey" in written["etc/systemd/system/jarvis-worker.service.d/50-redis.conf"]
    assert written["etc/sysusers.d/jarvis.conf"].endswith('u books - "Jarvis record keeper" /srv/books\n')
    assert "${PROGRAM:-/srv/jarvis/bin/jarvis}" in written["usr/local/sbin/jarvis-ctl"]
    assert "srv/jarvis/share/ops/backup.sh" in written
    assert not [name for name, text in written.items() if name.startswith("etc/systemd") and re.search(r"/(opt|var/lib)/jarvis", text)]


def test_a_state_folder_below_var_lib_is_made_by_systemd(deploy, tmp_path):
    deploy("systemd", "--to", "tree", "--state", "/var/lib/trading/books")
    assert "\nStateDirectory=trading/books\n" in files(tmp_path / "tree")["etc/systemd/system/jarvis-.service.d/10-hardening.conf"]


def test_a_second_run_changes_nothing_and_keeps_what_is_the_operators(deploy, tmp_path):
    tree = tmp_path / "tree"
    deploy("redis", "--to", "tree")
    deploy("systemd", "--to", "tree", "--broker", "tcp")
    (tree / "etc/jarvis/workers.yaml").write_text("worker: {name: mine}\n")
    before = files(tree)
    said = deploy("redis", "--to", "tree").stdout + deploy("systemd", "--to", "tree", "--broker", "tcp", "--force").stdout
    assert files(tree) == before
    assert "0 written, 6 unchanged, 0 kept" in said
    assert re.search(r"kept +\S+/etc/jarvis/workers\.yaml", said)


def test_files_that_differ_are_named_and_nothing_is_written_unless_forced(deploy, tmp_path):
    unit = tmp_path / "tree/etc/systemd/system/jarvis-worker.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/mine\n")
    refused = deploy("systemd", "--to", "tree", code=4)
    assert str(unit) in refused.stderr
    assert "--force" in refused.stderr
    assert [*files(tmp_path / "tree").values()] == ["[Service]\nExecStart=/bin/mine\n"]
    shown = deploy("systemd", "--to", "tree", "--dry-run").stdout
    assert "-ExecStart=/bin/mine" in shown
    assert "+ExecStart=/opt/jarvis/bin/jarvis worker run" in shown
    deploy("systemd", "--to", "tree", "--force")
    assert "/bin/mine" not in unit.read_text()


def test_a_dry_run_writes_nothing_and_shows_no_secret(deploy, tmp_path):
    for recipe in ("systemd", "redis", "compose"):
        assert "new" in deploy(recipe, "--to", "tree", "--dry-run").stdout
    assert not (tmp_path / "tree").exists()
    deploy("redis", "--to", "tree")
    passwords = [urlsplit(url_in(tmp_path / "tree", file)).password for file in URL_FILES.values()]
    shown = deploy("redis", "--to", "tree", "--dry-run", "--broker", "tls", "--host", "redis.example.com").stdout
    assert "different" in shown
    assert not [password for password in passwords if password in shown]


def test_what_an_earlier_choice_left_is_named(deploy):
    deploy("systemd", "--to", "tree", "--metrics-http")
    said = deploy("systemd", "--to", "tree", "--broker", "tcp").stdout
    assert dict(re.findall(r"rm \S+/system/(\S+)  # (.+)", said)) == {
        "jarvis-.service.d/70-metrics-http.conf": "--metrics-http", "jarvis-broker.service": "--broker embedded",
    }  # fmt: skip
    assert "systemctl disable --now jarvis-broker" in said


def test_an_option_that_was_forgotten_does_not_bring_back_the_embedded_broker(deploy, tmp_path):
    deploy("systemd", "--to", "tree", "--broker", "tcp")
    before = files(tmp_path / "tree")
    refused = deploy("systemd", "--to", "tree", "--network", "--force", code=4)
    assert "50-redis.conf is there, so the worker uses a Redis: say how with --broker" in refused.stderr
    assert files(tmp_path / "tree") == before


def test_passwords_are_made_once_for_each_user_and_only_their_hashes_leave_the_secret_files(deploy, tmp_path):
    deploy("redis", "--to", "tree")
    tree = tmp_path / "tree"
    users = dict(re.findall(r"^user (\w+) on #([0-9a-f]{64}) ", (tree / "etc/redis/users-jarvis.acl").read_text(), re.MULTILINE))
    passwords = {user: urlsplit(url_in(tree, file)).password for user, file in URL_FILES.items()}
    assert users == {user: hashlib.sha256(password.encode()).hexdigest() for user, password in passwords.items()}
    assert len({*passwords.values()}) == 4
    assert "CHANGE-ME" not in "".join(files(tree).values())


def test_a_secret_is_for_its_owner_alone_and_the_rest_can_be_read_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        tree = units(a_redis(tmp_path / "tree"), broker="tcp")
    finally:
        os.umask(before)
    modes = {str(path.relative_to(tree)): stat.S_IMODE(path.stat().st_mode) for path in tree.rglob("*")}
    assert {modes[f"etc/jarvis/{file}"] for file in URL_FILES.values()} == {0o600}
    assert modes["usr/local/sbin/jarvis-ctl"] == modes["opt/jarvis/share/ops/backup.sh"] == modes["etc/jarvis"] == 0o755
    assert modes["etc/redis/users-jarvis.acl"] == modes["etc/jarvis/workers.yaml"] == 0o644


def test_a_secret_that_others_could_read_is_closed_again(deploy, tmp_path):
    deploy("redis", "--to", "tree")
    url = tmp_path / "tree/etc/jarvis/broker-url"
    url.chmod(0o644)
    deploy("redis", "--to", "tree")
    assert stat.S_IMODE(url.stat().st_mode) == 0o600


def test_a_url_that_was_not_made_here_is_not_replaced(deploy, tmp_path):
    url = tmp_path / "tree/etc/jarvis/broker-url"
    url.parent.mkdir(parents=True)
    url.write_text("redis://elsewhere:6379/0\n")
    assert "broker-url is there and holds no password" in deploy("redis", "--to", "tree", code=4).stderr
    assert url.read_text() == "redis://elsewhere:6379/0\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["systemd", "--user", "Root!"], "--user is 'Root!'"),
        (["systemd", "--prefix", "/home/me/jarvis"], "the units see nothing below /home"),
        (["systemd", "--state", "data"], "give a whole path"),
        (["systemd", "--state", "/srv/../etc"], "give a whole path"),
        (["systemd", "--second-path", "/mnt/a b"], "give a whole path"),
        (["systemd", "--broker", "tcp", "--allow", "redis.example.com"], "give an address (10.0.0.5)"),
        (["systemd", "--allow", "10.0.0.5"], "a broker that is embedded needs none"),
        (["systemd", "--broker", "unix", "--engine-group", "trading"], "leave one of the two out"),
        (["redis", "--host", "redis.example.com"], "the others are of this machine"),
        (["redis", "--broker", "tls"], "tls needs the name in the certificate"),
        (["redis", "--broker", "tls", "--host", "a/b"], "--host is 'a/b'"),
        (["redis", "--namespace", "a *"], "what broker.namespace says"),
        (["compose", "--wheel", "none.whl"], "name the file of the wheel"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_the_rule(deploy, tmp_path, options, says):
    assert says in deploy(*options, "--to", "tree", code=2).stderr
    assert not (tmp_path / "tree").exists()


def test_another_namespace_is_that_of_every_user(deploy, tmp_path):
    deploy("redis", "--to", "tree", "--namespace", "{jarvis}")
    users = (tmp_path / "tree/etc/redis/users-jarvis.acl").read_text()
    assert "~{jarvis}:fills.msgs" in users
    assert "dramatiq" not in users


def test_every_path_in_the_settings_of_a_redis_is_that_of_its_package(deploy, tmp_path):
    deploy("redis", "--to", "tree", "--server", "valkey", "--broker", "tls", "--host", "redis.example.com")
    conf = (tmp_path / "tree/etc/valkey/valkey-jarvis.conf").read_text()
    paths = re.findall(r"^\S+ (/\S+)$", conf, re.MULTILINE)
    assert len(paths) == 6
    assert not [path for path in paths if "redis" in path]


# -- the container -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def compose(tmp_path):
    return laid(compose_recipe(tmp_path / "c"), tmp_path / "c")


def test_what_compose_mounts_and_the_image_copies_is_there(compose):
    services = yaml.safe_load((compose / "compose.yaml").read_text())["services"]
    mounted = [mount.split(":")[0] for service in services.values() for mount in service["volumes"] if mount.startswith("./")]
    copied = re.findall(r"^COPY (\S+) ", (compose / "Dockerfile").read_text(), re.MULTILINE)
    assert len(mounted) == 5
    (compose / "jarvis_trading-1-py3-none-any.whl").touch()
    (compose / "grafana" / "dashboards").mkdir(exist_ok=True)
    for name in [*mounted, *copied]:
        assert [*compose.glob(name.removeprefix("./"))], name
    ignored = (compose / ".dockerignore").read_text().splitlines()
    assert ignored == ["*", "!config", "!jarvis_trading-*.whl"]


def test_every_variable_of_the_container_is_a_setting(compose, monkeypatch):
    daemon = yaml.safe_load((compose / "compose.yaml").read_text())["services"]["daemon"]
    image = dict(re.findall(r"(JARVIS_\w+)=(\S+)", (compose / "Dockerfile").read_text()))
    secrets = dict(line.split("=", 1) for line in (compose / ".env").read_text().splitlines())
    for name, value in (image | daemon["environment"]).items():
        monkeypatch.setenv(name, re.sub(r"\$\{(\w+)[^}]*\}", lambda found: secrets[found[1]], value))
    settings = load_settings(compose / "config", named=True)
    assert settings.broker.url.get_secret_value() == f"redis://worker:{secrets['WORKER_PASSWORD']}@valkey:6379/0"
    assert str(settings.data_folder) == daemon["volumes"][1].split(":")[1] == "/var/lib/jarvis"
    assert settings.monitoring.listen == "0.0.0.0:9464"


def test_nothing_in_a_container_is_root_or_listens_beyond_this_machine(compose):
    services = yaml.safe_load((compose / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service.get("build") or re.search(r":v?\d", service["image"]), f"{name} takes whatever version is the latest"
        assert service.get("profiles", []) == (["monitoring"] if name in ("prometheus", "grafana") else [])
    assert re.search(r"^USER \d+:\d+$", (compose / "Dockerfile").read_text(), re.MULTILINE)


def test_the_valkey_of_the_container_keeps_messages_as_the_one_of_a_machine_does():
    def durability(path: str) -> set[str]:
        lines = (HOUSE / "deploy" / path).read_text().splitlines()
        return {line for line in lines if line.split(" ")[0] in ("appendonly", "appendfsync", "save", "maxmemory-policy")}

    assert durability("container/valkey.conf") == durability("redis/redis.conf") == {
        "appendonly yes", "appendfsync always", 'save ""', "maxmemory-policy noeviction"
    }  # fmt: skip


def test_the_password_in_the_environment_is_that_of_the_user(compose):
    secrets = dict(line.split("=", 1) for line in (compose / ".env").read_text().splitlines())
    hashed = hashlib.sha256(secrets["WORKER_PASSWORD"].encode()).hexdigest()
    assert f"user worker on #{hashed} " in (compose / "valkey/users.acl").read_text()
    assert stat.S_IMODE((compose / ".env").stat().st_mode) == 0o600
    before = files(compose)
    laid(compose_recipe(compose), compose)
    assert files(compose) == before


def test_the_pages_are_a_unit_where_they_are_asked_for(deploy, tmp_path):
    unit = "tree/etc/systemd/system/jarvis-web.service"
    said = deploy("systemd", "--to", "tree", "--prefix", "/srv/no-such-venv").stdout
    assert (not (tmp_path / unit).exists(), "jarvis-web" in said) == (True, False)
    said = deploy("systemd", "--to", "tree", "--web", "--state", "/srv/books", "--prefix", "/srv/no-such-venv", "--force").stdout
    assert "systemctl enable --now jarvis-broker jarvis-worker jarvis-scheduler jarvis-web" in said
    assert '/srv/no-such-venv/bin/pip install "$(echo jarvis_trading-*.whl)[web]"' in said
    text = (tmp_path / unit).read_text()
    assert "ExecStart=/srv/no-such-venv/bin/jarvis web\n" in text
    assert "ReadOnlyPaths=-/srv/books/backups\n" in text
    left = deploy("systemd", "--to", "tree", "--state", "/srv/books", "--prefix", "/srv/no-such-venv").stdout
    assert re.search(r"rm \S*jarvis-web\.service  # --web", left)
