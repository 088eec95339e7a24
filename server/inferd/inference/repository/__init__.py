"""What is on disk, what it asks for, and what should therefore be loaded.

`layout` reads the directories, `model_config` understands a model's configuration,
`completion` fills in what the graph knows better, `policy` picks versions and `planner`
says what to load and unload. Nothing here loads a model.
"""
