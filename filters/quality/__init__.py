"""Quality by text embeddings."""
