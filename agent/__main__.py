"""`python -m agent`: the same as `slabhound agent`."""

import sys

from common.cli import main

if __name__ == "__main__":
    sys.exit(main(["agent", *sys.argv[1:]]))
