"""Pre-training, instruction tuning and evaluation on the mixtures that Bibim writes. No Beam."""
