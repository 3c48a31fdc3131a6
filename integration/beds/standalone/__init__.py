"""A Spark standalone cluster: a master on the host, and workers that are foreign nodes.

python -m integration.beds.standalone up      # prints what to export
python -m integration.beds.standalone exec node1 -- ls /opt/spark
python -m integration.beds.standalone down
"""

from integration.beds.standalone.cluster import Cluster, Options, current, down, up

__all__ = ["Cluster", "Options", "current", "down", "up"]
