"""From raw files to document shards."""
