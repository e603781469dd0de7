"""Routes bank transactions by their evaluation, exactly once; what cannot be routed becomes a dead letter."""
