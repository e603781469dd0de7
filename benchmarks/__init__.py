"""Benchmarks: the services beside the usual proof-of-concept way and beside the limit, in one run on one machine."""
