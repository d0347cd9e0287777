"""Training of the models from labelled rows."""
