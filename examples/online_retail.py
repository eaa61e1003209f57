"""Real retail orders through a local Ray cluster, with a host killed halfway and nothing lost: the demo.

    python -m examples.online_retail [--orders FILE] [--data FOLDER]

It is a program of `actors`, so that `dotdo demo` runs it from an installed package too.
"""

import sys

from actors.demo import main

if __name__ == "__main__":
    sys.exit(main())
