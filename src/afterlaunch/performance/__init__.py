"""How well a model does: scores with intervals, estimates before labels come, slices, sources of labels. Pure."""
