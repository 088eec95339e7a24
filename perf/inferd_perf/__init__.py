"""The performance harness: a load generator, comparisons and benchmark models.

Pure halves decide and compute (`schedule`, `stats`, `payload`, `rounds`, `capacity`,
`rates`, `report`); thin shells send, start processes and print (`generator`, `openload`,
`servers`, `compare`, `overload`, `churn`, `cli`). Every figure is printed beside a
baseline measured in the same invocation, because a figure alone says more about the
machine than about the server.
"""
