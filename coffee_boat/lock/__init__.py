"""Manifest + Target -> Lock: what is chosen, with hashes, for the executors."""
