"""The revisions of the tables, oldest first by name; there is no way back to an older one."""
