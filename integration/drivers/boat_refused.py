"""What `boat` refuses, one command after the other in one process.

    boat_refused.py FOLDER[,FOLDER...] ARGUMENT...

FOLDER is the SPARK_CONF_DIR of a command; all have the same arguments.
"""

import contextlib
import io
import json
import os
import sys

from coffee_boat.cli.main import boat


def ended(folder, arguments):
    os.environ["SPARK_CONF_DIR"] = folder
    with contextlib.redirect_stderr(io.StringIO()) as heard:
        code = boat(arguments, prog_name="boat", standalone_mode=False)
    return {"code": code, "stderr": heard.getvalue()}


folders, *arguments = sys.argv[1:]
print("RESULT", json.dumps({"ended": [ended(each, arguments) for each in folders.split(",")]}))
