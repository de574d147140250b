"""What requests and answers look like. Request schemas check; answer schemas document.

Answers are made by plain functions (`app.api.answers`), for dumping by schema costs more than the query behind
it; a contract test holds every answer against its schema.
"""
