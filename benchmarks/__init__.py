"""The benchmarks: applications, peers and the runner that measures them. Nothing here is installed."""
