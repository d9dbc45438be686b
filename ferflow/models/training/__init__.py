"""Everything that makes a model; nothing that serves one."""
