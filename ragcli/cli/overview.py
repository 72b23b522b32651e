"""What ``ragcli`` alone says: what it does, and the first commands to try."""

from __future__ import annotations

OVERVIEW = """\
ragcli finds passages in your own documents by meaning and by words, and answers
questions from them with the sentence each answer came from. All of it runs on
this machine, without a network.

Start here:

  ragcli index .                      read the documents in this folder
  ragcli search "parental leave"      show the passages that fit best
  ragcli ask "how long is parental leave?"
                                      answer, with the sentence it came from
  ragcli explain "an otter sleeps"    show how its words look at each other

More: "ragcli --help" lists every command, "ragcli COMMAND --help" its options,
"ragcli --install-completion" completes them in your shell.
"""
