"""The URL of a broker: what can be used, what is refused and how, and that no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from jarvis_client import Publisher
from jarvis_client.contract.address import client_url, read_address, socket_of, unix_url, without_password
from jarvis_client.contract.address_options import OPTIONS, TLS_OPTIONS
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import first_few, hide_passwords

ENCODED = "in a user's name and a password write / as %2F, ? as %3F, # as %23, @ as %40"


@pytest.mark.parametrize(
    ("url", "place", "password"),
    [
        ("redis://", "redis at localhost:6379/0", ""), ("redis://h", "redis at h:6379/0", ""), ("redis://h:7/3", "redis at h:7/3", ""),
        ("redis://[::1]:6/2", "redis at [::1]:6/2", ""), ("redis://h?db=4", "redis at h:6379/4", ""), ("redis://:p%2Fw@h", "redis at h:6379/0", "p/w"),
        ("redis://u:p@ss@h", "redis at h:6379/0", "p@ss"), ("redis://h?username=u&password=p%26w", "redis at h:6379/0", "p&w"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=False", "rediss at h:6379/0", ""), ("unix:///run/r.sock", "the socket /run/r.sock", ""),
        ("unix://:pw@/run/50%25%20off%3F?db=2", "the socket /run/50% off?, database 2", "pw"),
        ("redis://h?socket_timeout=2&health_check_interval=30&protocol=3&max_connections=64&client_name=x", "redis at h:6379/0", ""),
    ],
)  # fmt: skip
def test_what_can_be_used_is_read_as_the_client_reads_it(url, place, password):
    address = read_address(url, connections=32)
    assert (address.place, address.password) == (place, password)
    client = redis.Redis.from_url(url).connection_pool.connection_kwargs
    assert (client.get("password") or "", client.get("path") or "", client.get("db", 0)) == (address.password, address.socket, address.db)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://u:hunter2@h", "must start with redis://, rediss:// or unix://"), ("redis://:hun/ter2@h", ENCODED), ("redis://:hun?ter2@h", ENCODED),
        ("redis://hun/ter2@h", ENCODED), ("redis://:hun#ter2@h", "write it as %23"), ("redis://:hunter2%@h", "write % itself as %25"), ('redis://:hun"ter2@h', "write it as %22"),
        ("redis://:hun ter2@h", "write a space as %20"), ("redis://:hun\nter2@h", "a space or a control character"), ("redis://h:hunter2", "a port from 1 to 65535"),
        ("redis://h:0", "port 0"), ("redis://h:99999", "a port from 1 to 65535"), ("redis://[::1", "cannot be read"), ("redis://a..b", "a host that cannot be one"),
        ("redis://h/abc", "no database by number"), ("redis:///run/r.sock", "unix:// and a whole path"), ("redis://h/2?db=3", "keep one of them"),
        ("redis://h?db=x", "db=x; it must be a whole number"), ("redis://h?foo=bar", "the option foo, which does not exist; there are db,"),
        ("redis://h?socket_timout=2", "did you mean socket_timeout?"), ("rediss://h?ssl_ca_cert=/x", "did you mean ssl_ca_certs?"),
        ("redis://h?ssl_ca_certs=/x", "is for rediss://"), ("redis://h?decode_responses=True", "changes the replies"), ("redis://h?max_connections=1", "leave it out"),
        ("redis://h?db=1&db=2", "twice"), ("redis://h?password=", "without a value"), ("redis://h?password=hunter+2", "write + as %2B"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "none or optional or required"), ("rediss://h?ssl_keyfile=/k", "without ssl_certfile"),
        ("rediss://h?ssl_min_version=1", "771 for TLS 1.2"), ("redis://h?client_name=a%20b", "ASCII characters without blanks"), ("redis://h?socket_timeout=0", "seconds above zero"),
        ("redis://h?health_check_interval=-1", "a whole number"), ("redis://h?socket_keepalive=maybe", "true or false"), ("unix://run/r.sock", "third slash"),
        ("unix:///", "names no socket"), ("unix:///a%00b", "NUL"), (f"unix:///{'x' * 120}", "has 121 bytes; the system takes 107"), ("redis://h?path=/x", "path, which"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_what_to_write_instead(url, said):
    with pytest.raises(Invalid) as refused:
        read_address(url, connections=32)
    assert said in str(refused.value)
    assert "hun" not in str(refused.value)
    assert "ter2" not in str(refused.value)


def test_the_options_are_ones_that_the_client_takes():
    values = {"db": "1", "protocol": "2", "ssl_cert_reqs": "none", "ssl_check_hostname": "no", "ssl_min_version": "771", "socket_keepalive": "yes"}
    for scheme, options in (("redis", OPTIONS), ("rediss", {**OPTIONS, **TLS_OPTIONS})):
        for name in options:
            certificate = "&ssl_certfile=/c" if name == "ssl_keyfile" else ""
            url = f"{scheme}://h?{name}={values.get(name, '1')}{certificate}"
            read_address(url)
            redis.Redis.from_url(url).connection_pool.make_connection()


def test_no_path_is_put_into_a_url_as_it_is():
    house = Path(__file__).parents[2]
    for path in (p for package in ("jarvis", "workers", "scheduler", "persistence") for p in (house / package).rglob("*.py")):
        if path != house / "workers" / "address.py":
            assert "unix://{" not in path.read_text(), f"{path} puts a path into a URL; jarvis_client.contract.address.unix_url quotes it"


@pytest.mark.parametrize("name", ["50%25 off", "50% off", "a#b", "a?b=c", "a%41b", "new\nline", "[bold]x", "ünï 'q\" &+;"])
def test_a_socket_s_path_survives_its_url(name):
    socket = Path(f"/run/{name}/s")
    assert socket_of(unix_url(socket)) == socket
    assert read_address(unix_url(socket)).socket == str(socket)
    assert redis.Redis.from_url(unix_url(socket)).connection_pool.connection_kwargs["path"] == str(socket)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hunter2@host:6379/0", "redis://user:***@host:6379/0"), ("redis://:hunter2@host", "redis://:***@host"),
        ("unix://:hunter2@/run/s", "unix://:***@/run/s"), ("unix:///run/s?password=hunter2&db=1", "unix:///run/s?password=***&db=1"),
        ("redis://h?username=u&password=hunter2", "redis://h?username=u&password=***"), ("rediss://h?ssl_password=hunter2", "rediss://h?ssl_password=***"),
        ("redis://:hun/ter2@h", "redis://:***@h"), ("redis://:hun@ter2@h", "redis://:***@h"), ("redis://:hun?ter2#@h/0", "redis://:***@h/0"),
        ("redis://hunter2@h", "redis://***@h"), ("REDIS://u:hunter2@h", "REDIS://u:***@h"), ("unix:///run/s.sock", "unix:///run/s.sock"),
        ("redis://h:6379/0", "redis://h:6379/0"), ("redis://u:hun'ter2@h", "redis://u:***@h"),
    ],
)  # fmt: skip
def test_a_url_shows_no_password_in_whatever_form(url, shown):
    assert without_password(url) == shown
    assert hide_passwords(f'cannot reach "{url}", or {url} either') == f'cannot reach "{shown}", or {shown} either'


def test_the_url_for_a_worker_s_client_leaves_out_what_a_worker_sets_itself():
    assert client_url("redis://h/1?socket_timeout=2&protocol=3&max_connections=64&retry_on_timeout=1") == "redis://h/1?protocol=3"
    assert client_url("redis://h/1?socket_timeout=2") == "redis://h/1"
    assert client_url("unix:///run/s") == "unix:///run/s"


def test_a_file_of_tls_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "ca.crt").write_text("x")
    good = f"rediss://h?ssl_ca_certs={tmp_path}/ca.crt"
    assert read_address(good).unreadable_file() is None
    assert (
        f"ssl_keyfile names {tmp_path}/client.key, which does not exist"
        in read_address(f"{good}&ssl_certfile={tmp_path}/ca.crt&ssl_keyfile={tmp_path}/client.key").unreadable_file()
    )
    assert "ssl_ca_certs names" in read_address(f"rediss://h?ssl_ca_certs={tmp_path}").unreadable_file()
    assert "which is no folder" in read_address(f"rediss://h?ssl_ca_path={tmp_path}/ca.crt").unreadable_file()


@pytest.mark.parametrize("url", ["redis://:hun/ter2@h", "redis://h?foo=1", "redis://h?decode_responses=True", "http://h"])
def test_a_publisher_refuses_what_it_cannot_use_before_anything_is_sent(url):
    with pytest.raises(Invalid) as refused:
        Publisher(url)
    assert str(refused.value).startswith("the broker's url")
    assert "ter2" not in str(refused.value)


def test_a_list_is_shown_by_its_first_and_a_count():
    assert first_few(["a", "b"]) == "a, b"
    assert first_few([str(n) for n in range(16_005)]) == "0, 1, 2, 3, 4 and 16,000 more"
