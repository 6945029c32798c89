"""From files that people recorded to clips, whatever camera, container and software made them."""
