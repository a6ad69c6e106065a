"""Small systems, broken as real ones are: a folder each, with the mended version beside it."""
