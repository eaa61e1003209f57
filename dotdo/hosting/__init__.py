"""Where entities live: the host and its activations, the shards and their locks, nouns, and how hosts are run.

`host` is the same under Ray (`cluster`) and in this very process (`local`). A shard is a folder, owned through a kernel
lock; `shard_index` lists who sleeps in it and who must be woken; `catalog` finds a noun's class.
"""
