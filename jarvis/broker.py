"""Which broker the settings mean."""

from __future__ import annotations

import os
from pathlib import Path

from jarvis.embedded_broker import EmbeddedBroker, running_broker
from jarvis.errors import EMPTY_CONFIG, SettingsError
from jarvis.settings import Settings, load_settings
from jarvis_client.contract.address import read_address
from jarvis_client.contract.errors import Unavailable
from jarvis_client.publisher import Publisher


def broker_url(settings: Settings) -> str:
    """The configured broker, else the embedded one that runs over the data folder. Raises `Unavailable` with the remedy, or
    `SettingsError` where a file that the URL names cannot be read."""
    if settings.broker.url is not None:
        url = settings.broker.url.get_secret_value()
        if (problem := read_address(url).unreadable_file()) is not None:
            raise SettingsError([f"broker.url: {problem}"])
        return url
    running = running_broker(settings.data_folder)
    if running is None and (settings.data_folder / "broker.json").exists():
        log = EmbeddedBroker(settings.data_folder).log
        said = f"the embedded broker over {settings.data_folder} does not answer"
        raise Unavailable(f"{said}; if it has just been started, try again in a moment, else its log says why: {log}")
    if running is None:
        raise Unavailable(f"no broker runs over {settings.data_folder}: start `jarvis up` (or `jarvis broker run`) there, or set broker.url in workers.yaml")
    return running


def publisher_of(settings: Settings, url: str | None = None) -> Publisher:
    """What a command publishes with. Raises as `broker_url` does, where no `url` is given."""
    return Publisher(
        url or broker_url(settings), namespace=settings.broker.namespace, conventions=settings.conventions, wait_replicas=settings.publisher.wait_replicas
    )


def broker_for_senders() -> tuple[str, str]:
    """The URL and the namespace for a program that only imports `workers.actors`, which asks here through an entry point.

    The settings are those of the command: of the folder JARVIS_CONFIG, else ./config, and of the environment. Raises `Unavailable`.
    """
    try:
        named = os.environ.get("JARVIS_CONFIG")
        if named == "":
            raise SettingsError([EMPTY_CONFIG])
        settings = load_settings(Path("config") if named is None else Path(named), named=named is not None)
        return broker_url(settings), settings.broker.namespace
    except SettingsError as error:
        raise Unavailable(f"the settings cannot be used: {'; '.join(error.problems)}") from None
