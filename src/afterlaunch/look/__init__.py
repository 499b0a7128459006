"""The design system: base page, styles, small parts, charts."""
