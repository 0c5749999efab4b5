"""What can go wrong before the books are opened: apart from the settings, whose loading takes longer than `jarvis --help` may."""


class SettingsError(Exception):
    """Every problem of the settings, one per line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
