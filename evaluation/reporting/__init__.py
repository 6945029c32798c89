"""What becomes of scores: tables, figures, videos, TensorBoard."""
