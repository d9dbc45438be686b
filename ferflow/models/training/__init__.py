"""Everything that creates a model; nothing that serves one."""
