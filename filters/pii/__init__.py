"""Personal data: found as spans by Presidio behind a prefilter, changed when tokens are written."""
