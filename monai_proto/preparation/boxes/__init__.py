"""A small and a big box per object, drawn by annotators or made from masks."""
