"""Less memory and less time: nothing in here changes what is computed, but for rounding."""
