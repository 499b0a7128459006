"""Each client's own prices: overrides, contract discounts, imported tables, and the table in force."""
