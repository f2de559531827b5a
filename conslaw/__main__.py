"""``python -m conslaw``."""

import sys

from conslaw.command_line import main

sys.exit(main())
