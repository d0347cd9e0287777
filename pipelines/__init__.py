"""The Beam stages, the driver that runs them one after another, and the command line."""
