"""Lock -> Archive: the interpreter, the driver's pyspark and each wheel as a chunk, and their
concatenation.
"""
