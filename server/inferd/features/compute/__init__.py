"""Features that are computed from others when they are asked for."""
