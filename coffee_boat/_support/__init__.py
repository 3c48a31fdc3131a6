"""What has nothing to do with packages or Spark."""
