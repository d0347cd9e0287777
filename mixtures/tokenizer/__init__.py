"""The SentencePiece tokenizer: training, encoding, export, fertility."""
