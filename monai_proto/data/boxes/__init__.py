"""A small and a big box per object as data: annotations, data lists, prompts."""
