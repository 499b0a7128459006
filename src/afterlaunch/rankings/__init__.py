"""How well a search finds: judgements of people against what was retrieved. Pure."""
