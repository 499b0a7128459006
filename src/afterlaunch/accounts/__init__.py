"""People, clients, roles, tokens: who is acting and what they may do."""
