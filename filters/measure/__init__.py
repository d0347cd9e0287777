"""The annotator of all signals, and the detectors of boilerplate and broken syntax."""
