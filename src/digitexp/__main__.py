"""`python -m digitexp` is the command `digitexp`."""

import sys

try:
    from digitexp.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while the command line itself is being imported
    sys.exit(130)
