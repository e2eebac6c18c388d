"""How fast the software is, as ratios measured in one run."""
