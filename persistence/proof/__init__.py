"""Whether the books are still what was recorded: checks, the hash chain, rebuilds."""
