import sys

from digitexp.cli import main

sys.exit(main())
