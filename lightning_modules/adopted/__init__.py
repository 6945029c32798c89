"""Parts that others trained, and what makes a base model of them."""
