"""An archive in a file, without Spark.

pack.py ARCHIVE REQUIREMENT...
"""

import sys

from coffee_boat import Captain

path, *wanted = sys.argv[1:]
with Captain() as captain:
    captain.add_pip_packages(*wanted)
    captain.pack(path)
