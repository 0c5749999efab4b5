"""What a status says of an embedded broker that is away, and where it says that things lie."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from standing import look, settings_of

from jarvis.locks import supervisor_lock
from persistence.database import DatabaseManager
from persistence.files import locked_file


def test_whoever_runs_no_broker_is_told_to_start_one(short_folder):
    assert look(settings_of(short_folder)).broker.remedy == "start `jarvis up`, or `jarvis broker run`"


def test_below_jarvis_up_a_broker_that_ended_comes_back_and_its_log_says_why(short_folder):
    settings = settings_of(short_folder)
    with locked_file(supervisor_lock(settings), "`jarvis up`"):
        broker = look(settings).broker
    assert (broker.problem, broker.remedy) == ("not running", f"`jarvis up` starts it again; its log says why: {short_folder}/broker/valkey.log")


def test_folders_on_a_disk_are_named_from_the_root(short_folder, monkeypatch):
    monkeypatch.chdir(short_folder)
    settings = settings_of(Path())
    with closing(DatabaseManager(settings.database.path)) as manager:
        manager.initialize()
    assert [folder for disk in look(settings).storage.disks for folder in disk.folders] == [str(short_folder)]
