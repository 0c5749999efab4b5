"""Backups and restores. A copy counts as a backup once it has been read back; it is a SQLite file, whichever engine keeps the live books."""
