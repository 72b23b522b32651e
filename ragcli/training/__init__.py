"""How the reader's weights come about: rows, hard negatives, loss and the loop over them."""
