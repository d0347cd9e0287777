"""Where a run is kept: folders, shards, manifests, local and remote file systems."""
