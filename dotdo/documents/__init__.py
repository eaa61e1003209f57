"""Documents: `from dotdo import db`. A collection is an entity with a file of its own; so is each kind of relation."""
