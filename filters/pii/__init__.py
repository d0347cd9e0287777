"""Personal data: found by Presidio behind a prefilter, masked when tokens are written.

`annotator` finds spans, `mask` applies them, `prefilter` says where to look at all. What a
value looks like is data (`numbers`, `places`, `online`, `keys`); `recognisers` hands it to
Presidio, `analyser` runs that.
"""
