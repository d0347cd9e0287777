"""Fine-tuning on few labelled texts: SBR and its baselines."""
