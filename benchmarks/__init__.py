"""What calls, writes, steps and lives cost, beside plain Ray actors and the bare disk: `python -m benchmarks`.

`rows` is a figure with its spread and its target, `table` prints them, `setting` is where and how thoroughly they are
taken. `floor` and `plain_ray` are what everything is compared with; `calls`, `writes`, `life` and `recovery` are dotdo.
"""
