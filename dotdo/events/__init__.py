"""Events: how they are called, and who wants to hear of which."""
