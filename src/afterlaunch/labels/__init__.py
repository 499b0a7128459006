"""Labels in, joined to the predictions that they are of; what came of it judged, before labels come and after."""
