"""Guard policies on the data path: reading requests and answers, checking them, holding, counting."""
