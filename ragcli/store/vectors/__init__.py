"""The vectors of an index: kept in the catalogue, searched through FAISS.

``kinds`` names the types of index and chooses one, ``stored`` searches the catalogue's own vectors,
``flat`` and ``approximate`` search through FAISS, ``training`` and ``tuning`` make an approximate
one, ``file`` keeps it in a file, and ``derived`` sees to it that all of this is in step.
"""
