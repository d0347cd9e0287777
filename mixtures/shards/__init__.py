"""Token runs and the files of a mixture."""
