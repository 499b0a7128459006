"""Both spines retold as documents."""
