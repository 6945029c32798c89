"""Stage 0: how the base model learns from public people, and the small one that ships."""
