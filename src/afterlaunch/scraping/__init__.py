"""Metrics fetched from declared targets: node_exporter, DCGM exporter, vLLM, whatever speaks Prometheus."""
