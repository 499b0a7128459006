"""The icons: 24 x 24 outlines drawn for this product; each is the inside of an <svg>."""

from __future__ import annotations

ICONS = {
    "overview": '<rect x="3" y="3" width="7" height="9" rx="1"/><rect x="14" y="3" width="7" height="5" rx="1"/>'
    '<rect x="14" y="12" width="7" height="9" rx="1"/><rect x="3" y="16" width="7" height="5" rx="1"/>',
    "incident": '<path d="M12 3 2.5 20h19z"/><path d="M12 10v4m0 3v.1"/>',
    "alert": '<circle cx="12" cy="12" r="2.5"/><path d="M7 7a7 7 0 0 0 0 10m10-10a7 7 0 0 1 0 10'
    'M4 4a11.300 11.300 0 0 0 0 16m16-16a11.300 11.300 0 0 1 0 16"/>',
    "change": '<circle cx="6" cy="5" r="2.5"/><circle cx="6" cy="19" r="2.5"/><circle cx="18" cy="12" r="2.5"/>'
    '<path d="M6 7.5v9M6 12h9.5"/>',
    "slo": '<path d="M4 16a8 8 0 1 1 16 0"/><path d="m12 16 4-5"/><path d="M3 20h18"/>',
    "system": '<path d="m12 2.5 9 5v9l-9 5-9-5v-9z"/><path d="m3 7.5 9 5 9-5M12 12.5v9"/>',
    "call": '<path d="M3 5h18v12H9l-4 4v-4H3z"/><path d="M8 9h8m-8 4h5"/>',
    "infrastructure": '<rect x="3" y="3.5" width="18" height="7" rx="1.5"/>'
    '<rect x="3" y="13.5" width="18" height="7" rx="1.5"/>'
    '<path d="M7 7v.1M7 17v.1M11 7h6m-6 10h6"/>',
    "metric": '<path d="M3 3v18h18"/><path d="m6 15 4-5 4 3 6-8"/>',
    "anomaly": '<path d="M2.500 17h4.500l2-2.500 2 2.500L14 4l2.500 13h5"/>',
    "log": '<path d="M4 5h16M4 10h10M4 15h16M4 20h7"/>',
    "target": '<circle cx="12" cy="12" r="9"/><circle cx="12" cy="12" r="4.5"/>'
    '<path d="M12 1v5m0 12v5M1 12h5m12 0h5"/>',
    "probe": '<path d="M2.5 12h4l3-7.500 5 15 3-7.500h4"/>',
    "status": '<circle cx="12" cy="12" r="9"/><path d="M7.500 13.500a5 5 0 0 1 9 0M12 8v.1"/>',
    "spend": '<circle cx="12" cy="12" r="9"/><path d="M15 8.5c-.7-1-1.8-1.3-3-1.3-1.8 0-3 .9-3 2.3 0 3.2 6 1.6 6'
    ' 4.9 0 1.4-1.3 2.4-3 2.4-1.4 0-2.5-.5-3.2-1.500M12 5.500v13"/>',
    "budget": '<path d="M4 7.500h14.500a1.500 1.500 0 0 1 1.500 1.500v9.500a1.500 1.500 0 0 1-1.500 1.500h-13'
    'A1.500 1.500 0 0 1 4 18.500z"/><path d="M4 7.500 15 3.500v4M20 12h-4a2 2 0 0 0 0 4h4"/>',
    "guard": '<path d="M5 20.500V6l2-2.500L9 6v14.500M15 20.500V6l2-2.500L19 6v14.500"/>'
    '<path d="M2.500 10h19m-19 6h19"/>',
    "promise": '<circle cx="12" cy="13" r="8"/><path d="M12 9v4l3 2"/><path d="M10 2.500h4"/>',
    "oncall": '<path d="M6 10a6 6 0 0 1 12 0v4l2 3H4l2-3z"/><path d="M10 20.500h4"/>',
    "silence": '<path d="M6 10a6 6 0 0 1 9-5.200M18 10v4l2 3H9m-3-5v2l-2 3h2"/><path d="M10 20.500h4M4 3l16 16"/>',
    "report": '<path d="M6 2.500h8l5 5v14H6z"/><path d="M14 2.500v5h5M9 13h7m-7 4h7"/>',
    "evidence": '<path d="m12 2.5 8 3v6c0 5-3.5 8.5-8 10-4.5-1.5-8-5-8-10v-6z"/><path d="m8.5 12 2.5 2.5 4.5-5"/>',
    "settings": '<path d="M4 7h9m5 0h2M4 17h3m5 0h8"/><circle cx="15.5" cy="7" r="2.5"/>'
    '<circle cx="9.5" cy="17" r="2.5"/>',
    "ok": '<circle cx="12" cy="12" r="9"/><path d="m8 12 3 3 5-6"/>',
    "warning": '<path d="M12 3 2.5 20h19z"/><path d="M12 10v4m0 3v.1"/>',
    "breach": '<path d="M8 3h8l5 5v8l-5 5H8l-5-5V8z"/><path d="m9 9 6 6m0-6-6 6"/>',
    "not_assessed": '<circle cx="12" cy="12" r="9" stroke-dasharray="3 3"/><path d="M8 12h8"/>',
    "copy": '<rect x="8" y="8" width="12" height="12" rx="2"/><path d="M16 8V4H4v12h4"/>',
    "theme": '<circle cx="12" cy="12" r="9"/><path d="M12 3a9 9 0 0 1 0 18z" fill="currentColor"/>',
    "menu": '<path d="M4 6h16M4 12h16M4 18h16"/>',
    "next": '<path d="m9 5 7 7-7 7"/>',
    "person": '<circle cx="12" cy="8" r="4"/><path d="M4 21c.5-4.5 4-6.5 8-6.500s7.5 2 8 6.5"/>',
}
