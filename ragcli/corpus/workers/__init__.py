"""Worker processes that read files ahead of the encoder, each file within limits.

The side of the tool: ``supervisor`` keeps the ``process``es; a worker's own: ``answering`` and
``confinement``. ``messages`` are what the two tell each other.
"""
