"""The monthly report on tokens: where they went, why that changed, what could be saved, and whether the bill agrees."""
