"""Programs that measure; each figure stands beside a floor or a peer of the same run, as a ratio."""
