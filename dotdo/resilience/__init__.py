"""What keeps one failing thing from taking others with it: retries, circuit breakers, bulkheads, rate limits, timeouts, a cache.

All of it works in any coroutine. Inside an entity the runtime's clock counts, waits are durable where they can be, and what
has a name is shared by everybody who uses the name.
"""
