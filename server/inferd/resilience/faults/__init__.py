"""Breaking things on purpose, at places that have names: parts of this server, and proxies."""
