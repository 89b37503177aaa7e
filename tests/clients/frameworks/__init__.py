"""Frameworks that use the interfaces, and readers of the files of the command line."""
