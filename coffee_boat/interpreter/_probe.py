"""Run by any interpreter, however old: prints as JSON what it is.

Standard library and the oldest syntax only.
"""

import json
import os
import site
import sys
import sysconfig

if __name__ == "__main__":
    minor = "%d.%d" % sys.version_info[:2]  # noqa: UP031
    print(  # noqa: T201
        json.dumps(
            {
                "version": "%d.%d.%d" % sys.version_info[:3],  # noqa: UP031
                "minor": minor,
                "build": sys.version,
                "implementation": getattr(getattr(sys, "implementation", None), "name", "cpython"),
                "platform": sys.platform,
                "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
                "debug": hasattr(sys, "gettotalrefcount"),
                "executable": getattr(sys, "_base_executable", None) or sys.executable,
                "base": getattr(sys, "base_prefix", sys.prefix),
                "stdlib": os.path.dirname(os.__file__),  # noqa: PTH120
                "libdir": getattr(sys, "platlibdir", "lib"),
                "extensions": [
                    path
                    for path in sys.path
                    if os.path.basename(path) == "lib-dynload"  # noqa: PTH119
                    and os.path.isdir(path)  # noqa: PTH112
                ],
                "site": site.getsitepackages(),
                "builtin": list(sys.builtin_module_names),
            }
        )
    )
