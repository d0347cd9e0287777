"""Spark: the job server, the workers' launcher, a cluster on this machine."""
