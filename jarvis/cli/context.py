"""The settings of this invocation and the books they name, for every command that asks for them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from jarvis.cli.common import CHOSEN, say
from jarvis.cli.times import moment_of
from jarvis.logging import configure_logging
from jarvis.opening import open_database, open_file
from jarvis.settings import Settings, exposed_secrets, load_settings_with_places
from jarvis.settings_sources import Places
from jarvis_client.contract.instants import to_instant
from persistence.database import DatabaseManager
from persistence.engine.contract import LiveBooks


class Context:
    """Reads nothing before it is asked."""

    #: Where each value of the settings was read; filled by reading them.
    places: Places

    @property
    def config(self) -> Path:
        return CHOSEN.config

    @property
    def named_config(self) -> Path | None:
        """The folder that --config or JARVIS_CONFIG names; None where neither does."""
        return CHOSEN.config if CHOSEN.named else None

    @cached_property
    def settings(self) -> Settings:
        settings, self.places = load_settings_with_places(self.config, named=CHOSEN.named)
        configure_logging(settings.logging.level, settings.logging.format, lambda moment: moment_of(to_instant(moment)))
        for warning in exposed_secrets(self.config, settings):
            say(f"warning: {warning}")
        return settings

    def database(self, *, looking: bool = False) -> LiveBooks:
        """The books, which have to exist already. `looking` as in `open_database`."""
        return open_database(self.settings, looking=looking)

    def file(self, doing: str, instead: str, *, looking: bool = False) -> DatabaseManager:
        """The same for what only a file can be asked for: `doing` it; `instead` is what is done about books that a server keeps."""
        return open_file(self.settings, doing, instead, looking=looking)


CONTEXT = Context()
