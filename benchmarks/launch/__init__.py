"""Starts the servers that bring no command line of their own."""
