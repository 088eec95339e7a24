"""Events in, predictions out: what `inferd stream` does, one decision per event and none lost."""
