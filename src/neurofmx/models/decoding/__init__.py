"""From windows to an answer: tokenizer, backbone, head, put together for a dataset."""
