"""The embedded broker's socket in a folder whose group may open it."""

from __future__ import annotations

import os
import stat

import pytest
import redis

from jarvis.embedded_broker import EmbeddedBroker, running_broker
from jarvis.settings import SettingsError, load_settings
from persistence.domain.errors import WrongFolder


def shared_folder(short_folder, mode=0o2750):
    folder = short_folder / "run"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 0, 65534)
    folder.chmod(mode)
    return folder


def test_a_socket_takes_over_the_group_of_its_folder(short_folder):
    folder = shared_folder(short_folder)
    with EmbeddedBroker(short_folder / "data", folder).running() as url:
        status = (folder / "valkey.sock").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o770, folder.stat().st_gid)
        assert url == running_broker(short_folder / "data") == f"unix://{folder}/valkey.sock"
        with redis.Redis.from_url(url) as client:
            assert client.ping()
    assert stat.S_IMODE((short_folder / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o2755, 0o2770, 0o2751])
def test_a_folder_that_lets_others_in_or_does_not_hand_on_its_group_is_refused(short_folder, mode):
    folder = shared_folder(short_folder, mode)
    with pytest.raises(WrongFolder, match=rf"with mode {mode:o}; .*install -d -m 2750"), EmbeddedBroker(short_folder / "data", folder).running():
        pytest.fail("it runs")


def test_a_folder_that_is_not_there_is_named_with_the_remedy(short_folder):
    with pytest.raises(WrongFolder, match="which does not exist; .*install -d -m 2750"), EmbeddedBroker(short_folder / "d", short_folder / "no").running():
        pytest.fail("it runs")


def test_a_folder_whose_path_no_socket_takes_is_a_wrong_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("JARVIS_BROKER__SOCKET_FOLDER", "/run/" + "x" * 100)
    with pytest.raises(SettingsError, match="socket_folder: is too long"):
        load_settings(tmp_path)
