"""Natural and programming language of a document."""
