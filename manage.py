#!/usr/bin/env python
"""The command line. `manage.py up` runs the whole product on this machine."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flint.settings")
    if sys.argv[1:2] == ["up"]:
        from flint.running import prepare_environment

        prepare_environment(sys.argv[2:])
    elif sys.argv[1:2] == ["demo"]:
        from flint.demo import prepare_environment

        prepare_environment()
    execute_from_command_line(sys.argv)
