"""One entity's file: turns as transactions, key-value, SQL, journal tables, the output gate and the syncs behind it.

SQLite is called on the host's loop, because a local read takes 3 us and a thread hop costs thirty times that. Only what
touches the disk for real (open, create, checkpoint, fdatasync) leaves the loop. `entity_file` is the heart; `gate` and
`sync_pool` say when a commit is safe; `disk` is the port every sync goes through.
"""
