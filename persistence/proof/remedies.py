"""What a finding tells people to do, where many say the same."""

#: What helps where something recorded, or the file itself, is not what was written.
RESTORE = "jarvis restore --latest, or jarvis db salvage NEW-FILE"
