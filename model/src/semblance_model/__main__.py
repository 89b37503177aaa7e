"""``python -m semblance_model``."""

import sys

from semblance_model.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
