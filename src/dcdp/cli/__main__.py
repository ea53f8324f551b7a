"""Run the command line as ``python -m dcdp.cli``."""

import sys

from dcdp.cli.app import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
