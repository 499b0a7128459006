"""When a model is trained again, by whose pipeline, and what became of it; nothing goes live by itself."""
