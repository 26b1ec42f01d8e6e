"""`python -m neurofmx` is the command `neurofmx`."""

import sys

from neurofmx.command.main import main

sys.exit(main())
