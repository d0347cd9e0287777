"""Rules over columns: one evaluator as a mask and as SQL, and the verdict per document."""
