"""The command line: `boat`."""
