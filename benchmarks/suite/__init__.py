"""The runner's parts. They know servers as processes and never import one."""
