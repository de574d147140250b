"""Every SQL statement, one module per noun, as functions that take a session; none commits."""
