"""Use cases. Each takes a session (one transaction, committed by the caller) and the queue for its hints."""
