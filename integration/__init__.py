"""Tests against real Spark.

`beds/` holds the clusters, `drivers/` the programs that the tests run as a user would.
"""
