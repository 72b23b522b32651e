"""Records → what a person sees in a terminal, and JSON lines for programs."""
