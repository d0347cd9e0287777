"""The tokenizer's training sample, the tokenizer and the token runs."""
