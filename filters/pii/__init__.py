"""Personal data: found by Presidio behind a prefilter, masked when tokens are written.

`annotator` finds spans, `mask` applies them, `prefilter` selects the windows that Presidio reads.
The shapes of values are data (`phones`, `numbers`, `places`, `online`, `keys`); `recognisers` makes
Presidio's recognisers of them, `analyser` runs these.
"""
