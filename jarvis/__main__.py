"""`python -m jarvis`, in whatever folder."""

import os
import sys
from pathlib import Path

# `-m` puts the working directory first, where an engine may have a workers/ or a scheduler/ of its own. Where this package itself lies there
# (a checkout that is not installed), it stays.
if sys.path and sys.path[0] == os.getcwd() and not Path(sys.path[0], "jarvis", "__main__.py").exists():
    del sys.path[0]

from jarvis.cli import main  # the path has to be right before anything of ours is imported

if __name__ == "__main__":
    main()
