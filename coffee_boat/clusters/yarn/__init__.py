"""yarn: what it wants set, and asking the ResourceManager and HDFS."""
