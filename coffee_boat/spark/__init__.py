"""The Spark of this process: which one it is, what it is told, and what happens when it starts."""
