"""Who can read the passwords: in files, in the environment, in the keys of TLS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, problem, warning, well
from jarvis.doctor.unit_files import hands_over_credential
from jarvis.settings import Settings, exposed_secrets
from jarvis.settings_sources import ENVIRONMENT_PREFIX, place_of
from jarvis_client.contract.address import read_address


def look(case: Case, settings: Settings) -> Iterator[Diagnosis]:
    if settings.broker.url is None:
        shared = settings.broker.socket_folder
        yield well("password", f"none: the embedded broker's socket is for {f'the group of {shared}' if shared else 'its owner alone'}")
        return
    address = read_address(settings.broker.url.get_secret_value())
    found = list(_of_tls_keys(address.options.get("ssl_keyfile")))
    for text in exposed_secrets(case.config, settings):
        value, _, remedy = text.partition(": ")
        found.append(problem("password", value, "a secret is for its owner alone: mode 600", remedy))
    place = place_of(case.places, ("broker", "url")) or ""
    # The wrapper of the services hands the URL over so, on purpose: what is in their credential only root may read.
    if address.secrets and place.startswith(ENVIRONMENT_PREFIX) and not hands_over_credential(case):
        rule = "every program that is started from here inherits it, and may show it"
        found.append(
            warning(
                "password", f"it stands in the variable {place}", rule, "name a file with the URL (mode 600) in broker.url_file, or use a systemd credential"
            )
        )
    if address.scheme == "redis" and address.secrets and not _is_here(address.host):
        rule = "redis:// sends it, and every record, in the clear"
        found.append(warning("password", f"it goes to {address.host} without TLS", rule, 'use rediss://: docs/operating.md, "Security"'))
    yield from found
    if not found:
        yield well("password", f"read from {place}, closed to others" if address.secrets else "none is set in broker.url")


def _of_tls_keys(path: str | None) -> Iterator[Diagnosis]:
    with suppress(OSError, TypeError):
        mode = os.stat(path or "").st_mode & 0o777
        if mode & 0o007:
            remedy = f"chmod 640 {path}, with the group of the daemon's user"
            yield problem("private key", f"{Path(path or '')} has mode {mode:o}", "who reads it can be us: none but owner and group", remedy)


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
