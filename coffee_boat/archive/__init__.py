"""The file format of an archive: chunks, and their concatenation. Knows no package tool."""
