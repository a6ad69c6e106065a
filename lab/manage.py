#!/usr/bin/env python
"""Django's command line for the lab: ``python lab/manage.py migrate``."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command that the command line names."""
    # Python looks first in this file's folder; the lab is found from the one above it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lab.settings")
    from django.core.management import execute_from_command_line

    from lab.environment import WrongVariable

    # --8<-- [start:one_line]
    try:
        execute_from_command_line(sys.argv)
    except WrongVariable as error:
        sys.exit(str(error))
    # --8<-- [end:one_line]


if __name__ == "__main__":
    main()
