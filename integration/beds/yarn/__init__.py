"""YARN and HDFS: a NameNode, a DataNode, a ResourceManager and two NodeManagers, each on a foreign
node of its own.

python -m integration.beds.yarn up      # prints what to export: HADOOP_CONF_DIR, SPARK_CONF_DIR,
                                        SPARK_LOCAL_IP
python -m integration.beds.yarn exec node1 -- ls /opt
python -m integration.beds.yarn down

Nodes have a network of their own, in which the host is SPARK_LOCAL_IP. Their disks are this
machine's memory.
"""

from integration.beds.yarn.cluster import Cluster, Options, current, default_cache, down, up

__all__ = ["Cluster", "Options", "current", "default_cache", "down", "up"]
