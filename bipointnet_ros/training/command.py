"""What every command of this room has in common: a wrong request ends in one sentence and exit status 2."""

from __future__ import annotations

import functools
import sys
from pathlib import Path


def command(main):
    """main(arguments), which may raise ValueError or OSError -> main(arguments=None), which answers an exit status."""
    name = Path(main.__code__.co_filename).stem

    @functools.wraps(main)
    def guarded(arguments=None) -> int:
        try:
            main(arguments)
        except (ValueError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        return 0

    return guarded
