"""What can go wrong before the books are opened. Not in settings.py: `jarvis --help` does not wait for that."""

EMPTY_CONFIG = "JARVIS_CONFIG is set and empty; name the folder of the settings, or unset it"


class Refused(Exception):
    """A process of ours refuses to run, and would again: what it said tells why."""


class SettingsError(Exception):
    """Every problem of the settings, one per line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
