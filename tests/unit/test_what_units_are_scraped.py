"""The settings for Prometheus that come with the units ask the worker and the scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jarvis.recipes.systemd import SystemdChoices, systemd_recipe


@pytest.mark.parametrize("broker", ["embedded", "tcp"])
def test_worker_and_scheduler_are_targets_and_nothing_that_may_not_be_there(tmp_path, broker):
    [text] = [file.content for file in systemd_recipe(tmp_path, SystemdChoices(broker=broker)).files if Path(file.path).name == "prometheus.yml"]
    [job] = yaml.safe_load(text)["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464", "127.0.0.1:9465"]}]
    assert b"`jarvis up`" not in text
