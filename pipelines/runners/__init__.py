"""The engines that a pipeline runs on: local processes, Spark, Dataflow."""
