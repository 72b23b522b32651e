"""Query → ranked passages, and the sentence of a passage that matches best."""
