"""The use cases, one module each: records in, records out."""
