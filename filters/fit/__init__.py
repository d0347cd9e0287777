"""Training of the shipped models from labelled rows."""
