"""The Python that travels: found, copied, and made into a chunk."""
