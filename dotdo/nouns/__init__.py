"""The runtime's own entities: the log of each event's name, the functions that handle events, the dead letters."""
