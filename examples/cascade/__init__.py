"""A service of one's own on inferd's core: ranking, with a cascade of stages and their ladders."""
