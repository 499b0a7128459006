"""What exists and who answers for it: systems, environments, components, versions."""
