"""Whatever stands in a URL or a file of the settings: it is used, or refused with a sentence."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import redis
from hypothesis import example, given
from hypothesis import strategies as st

from jarvis.settings import SettingsError, load_settings
from jarvis_client.contract.address import client_url, read_address
from jarvis_client.contract.address_options import OPTIONS, TLS_OPTIONS
from jarvis_client.contract.errors import Invalid

PIECES = st.one_of(
    st.text(max_size=12), st.sampled_from([":", "@", "/", "?", "#", "%", "&", "=", "[", "]", "%2F", "%00", "localhost", "6379", "0", *OPTIONS, *TLS_OPTIONS])
)


@given(scheme=st.sampled_from(["redis://", "rediss://", "unix:///", "unix://", ""]), pieces=st.lists(PIECES, max_size=12))
@example(scheme="rediss://", pieces=["h?ssl_min_version=1"])
@example(scheme="redis://", pieces=["h?client_name=%00"])
def test_a_url_that_is_taken_makes_a_connection_of_the_client(scheme, pieces):
    url = scheme + "".join(pieces)
    try:
        address = read_address(url)
    except Invalid:
        return
    made = redis.Redis.from_url(client_url(url)).connection_pool.make_connection()
    assert made.db == address.db
    if address.socket:
        assert made.path == address.socket
    else:
        assert (made.host, made.port) == (address.host, address.port)
    credentials = redis.Redis.from_url(client_url(url)).connection_pool.connection_kwargs
    assert (credentials.get("username") or "", credentials.get("password") or "") == (address.username, address.password)


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_a_file_of_anything_is_settings_or_a_sentence(content):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "workers.yaml").write_bytes(content)
        with suppress(SettingsError):
            load_settings(Path(folder), named=True)


@given(
    tree=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda below: st.one_of(
            st.lists(below, max_size=3), st.dictionaries(st.sampled_from(["worker", "broker", "url", "batch", "pairs", "jobs", "x"]), below)
        ),
        max_leaves=20,
    )
)
def test_a_tree_of_anything_is_settings_or_a_sentence(tree):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "workers.yaml").write_text(json.dumps(tree))
        with suppress(SettingsError):
            load_settings(Path(folder))
