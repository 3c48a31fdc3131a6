"""Compiles Java by the compiler that every Spark has, Janino: a machine with tests need have no
javac. janino.py FOLDER SOURCE...

Janino infers no generic types and knows no lambdas.
"""

import sys
from pathlib import Path

import pyspark
from pyspark.java_gateway import launch_gateway


def compiled(folder, sources):
    gateway = launch_gateway()
    jvm = gateway.jvm
    file = jvm.java.io.File

    def files(paths):
        found = gateway.new_array(file, len(paths))
        for at, path in enumerate(paths):
            found[at] = file(str(path))
        return found

    compiler = jvm.org.codehaus.janino.Compiler()
    compiler.setClassPath(files(sorted(Path(pyspark.__file__).parent.glob("jars/*.jar"))))
    compiler.setDestinationDirectory(file(folder), False)
    compiler.compile(files(sources))
    gateway.shutdown()


compiled(sys.argv[1], sys.argv[2:])
