"""`python -m inferd` is the command `inferd`."""

import sys

from inferd.app import main

sys.exit(main())
