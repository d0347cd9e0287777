"""Text itself: decoding, repair, HTML, units, n-grams, removed spans."""
