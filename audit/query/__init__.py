"""Questions about the documents of a run."""
