"""How many tokens each source gives, and in which order."""
