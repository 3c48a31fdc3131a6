"""spark://... and local-cluster[...]: what they want set, and asking the masters."""
