"""Two policy sets side by side: what is written differently, and on which case they disagree."""
