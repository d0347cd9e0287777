"""From token runs to the shards of the mixture."""
