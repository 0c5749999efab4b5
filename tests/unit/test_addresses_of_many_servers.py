"""The URL of a broker of several servers: what can be used, what is refused and how; which namespace a cluster keeps together."""

from __future__ import annotations

import pytest

from jarvis.settings import Settings
from jarvis_client import AsyncPublisher, Publisher
from jarvis_client.contract.address import client_url, read_address, refuse_namespace, without_password
from jarvis_client.contract.errors import Invalid
from workers.app import create_worker

URL = "redis+cluster://127.0.0.1:1"


@pytest.mark.parametrize(
    ("url", "place", "hosts"),
    [
        ("redis+sentinel://h1,h2,h3/books", "redis primary books (sentinels h1:26379, h2:26379, h3:26379)", (("h1", 26379), ("h2", 26379), ("h3", 26379))),
        ("rediss+sentinel://u:p@h1:7,[::1]:8/a.b-c/3", "rediss primary a.b-c/3 (sentinels h1:7, [::1]:8)", (("h1", 7), ("::1", 8))),
        ("redis+sentinel://[::1]/books?db=2", "redis primary books/2 (sentinels [::1]:26379)", (("::1", 26379),)),
        ("redis+cluster://h1,h2:7/", "redis cluster at h1:6379, h2:7", (("h1", 6379), ("h2", 7))),
        ("rediss+cluster://h1?ssl_cert_reqs=none", "rediss cluster at h1:6379", (("h1", 6379),)),
    ],
)
def test_what_can_be_used_says_where_it_leads(url, place, hosts):
    address = read_address(url)
    assert (address.place, address.reached, address.host) == (place, hosts, hosts[0][0])


def test_the_servers_and_the_sentinels_have_a_user_each():
    url = "redis+sentinel://engine:p%2Cw@h1,h2/books?sentinel_username=asks&sentinel_password=s%26w"
    address = read_address(url)
    assert (address.username, address.password) == ("engine", "p,w")
    assert (address.options["sentinel_username"], address.options["sentinel_password"]) == ("asks", "s&w")
    assert {"p,w", "s&w"} <= set(address.secrets)
    assert without_password(url) == "redis+sentinel://engine:***@h1,h2/books?sentinel_username=asks&sentinel_password=***"
    assert without_password("redis+sentinel://hunter2@h1,h2/books") == "redis+sentinel://***@h1,h2/books"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://h1,h2", "names no primary; behind the hosts comes what the sentinels call it"), ("redis+sentinel://h1/a/b", "no database by number"),
        ("redis+sentinel://h1,,h2/books", "none between two commas"), ("redis+sentinel:///books", "names no host"), ("redis+sentinel://h1,h1/books", "names a host twice"),
        ("redis+sentinel://h1:0/books", "a port is from 1 to 65535"), ("redis+sentinel://h1:x/books", "a port is from 1 to 65535"), ("redis+sentinel://::1/books", "in brackets"),
        ("redis+sentinel://h1/books/1?db=2", "keep one of them"), ("redis+cluster://h1/1", "a cluster has one alone"), ("redis+cluster://h1?db=1", "a cluster has one alone"),
        ("redis+cluster://h1?sentinel_password=x", "which is for redis+sentinel://"), ("redis+sentinel://h1/books?ssl_ca_certs=/x", "write rediss+sentinel:// for TLS"),
        ("redis+sentinel://h1/books?sentinel_pasword=x", "did you mean sentinel_password?"), ("unix+sentinel:///run/s", "redis+sentinel://h1,h2,h3/books"),
        ("redis+sentinel://:hun/ter2@h1/books", "write / as %2F"), ("redis://h1,h2/0", "write redis+sentinel:// and /NAME behind them"),
        ("redis+sentinel://h 1/books", "a space"), ("redis+sentinel://h1, h2/books", "a space"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_what_to_write_instead(url, said):
    with pytest.raises(Invalid) as refused:
        read_address(url)
    assert said in str(refused.value)
    assert "ter2" not in str(refused.value)


def test_a_worker_s_client_leaves_out_what_a_worker_sets_itself():
    assert client_url("redis+sentinel://h1,h2/books?socket_timeout=2&protocol=3") == "redis+sentinel://h1,h2/books?protocol=3"


@pytest.mark.parametrize("namespace", ["jarvis", "{}", "{a", "}a{"])
def test_a_cluster_would_spread_a_namespace_without_a_name_in_braces(namespace):
    with pytest.raises(Invalid, match="write '{"):
        refuse_namespace(read_address(URL), namespace)
    refuse_namespace(read_address("redis+sentinel://h/books"), namespace)


@pytest.mark.parametrize("namespace", ["{jarvis}", "a{b}c", "{a}{b}"])
def test_a_cluster_keeps_together_what_has_one(namespace):
    refuse_namespace(read_address(URL), namespace)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: Publisher(URL), lambda: AsyncPublisher(URL), lambda: create_worker("b.db", URL), lambda: Settings(broker={"url": URL}),
        lambda: Publisher(URL, namespace="dramatiq", spool="spool"),
    ],
    ids=["publisher", "asyncio", "worker", "settings", "spool"],
)  # fmt: skip
def test_everybody_refuses_another_one_with_the_remedy_before_anything_is_made(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"namespace is 'dramatiq', and the broker is a cluster.*write '\{dramatiq\}'"):
        asked()
    assert list(tmp_path.iterdir()) == []
