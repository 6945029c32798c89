"""What is measured of generated frames, by the definitions that each file names."""
