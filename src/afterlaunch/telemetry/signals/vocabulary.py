"""What exporters and instrumentations call processors, GPUs, queues, databases and dependencies. Pure.

Sources: node_exporter, windows_exporter, dcgm-exporter, nvidia_gpu_exporter, vLLM, SGLang, TGI, Triton, llama.cpp,
postgres_exporter, mysqld_exporter, blackbox_exporter; OpenTelemetry semantic conventions (system.*, hw.gpu.*,
db.client.*), also as Prometheus writes them.
"""

from __future__ import annotations

from collections.abc import Mapping

# Idle time of processors, as a counter of seconds or as a share; only the mode `idle` of them is asked for.
CPU_IDLE = (
    "node_cpu_seconds_total",
    "windows_cpu_time_total",
    "system.cpu.time",
    "system_cpu_time_seconds_total",
    "system.cpu.utilization",
    "system_cpu_utilization_ratio",
    "system_cpu_utilization",
    "cpu.utilization",
)
# name: what it is multiplied by to be a share
GPU = {
    "DCGM_FI_DEV_GPU_UTIL": 0.01,
    "nvidia_smi_utilization_gpu_ratio": 1.0,
    "hw.gpu.utilization": 1.0,
    "hw_gpu_utilization_ratio": 1.0,
    "amdgpu_gpu_busy_percent": 0.01,
    "amd_gpu_gfx_activity": 0.01,
}
# The cache that an inference server keeps in a GPU's memory: it takes nearly all of it at its start, so that what the
# driver calls used tells nothing there.
KV_CACHE = {
    "vllm:kv_cache_usage_perc": 1.0,
    "vllm:gpu_cache_usage_perc": 1.0,
    "sglang:token_usage": 1.0,
    "llamacpp:kv_cache_usage_ratio": 1.0,
}
GPU_MEMORY = {"hw.gpu.memory.utilization": 1.0, "hw_gpu_memory_utilization_ratio": 1.0}
# used by (all that there is, as a sum)
GPU_MEMORY_OF = (
    ("DCGM_FI_DEV_FB_USED", ("DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED")),
    ("nvidia_smi_memory_used_bytes", ("nvidia_smi_memory_total_bytes",)),
    ("hw.gpu.memory.usage", ("hw.gpu.memory.limit",)),
)
MEMORY = {"system.memory.utilization": 1.0, "system_memory_utilization_ratio": 1.0}
MEMORY_FREE_OF = (("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"),)
INFERENCE_QUEUE = (
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "tgi_queue_size",
    "te_queue_size",
    "nv_inference_pending_request_count",
    "llamacpp:requests_deferred",
)
QUEUE = (
    "queue_depth",
    "queue.depth",
    "queue_length",
    "celery_queue_length",
    "rabbitmq_queue_messages_ready",
    "kafka_consumergroup_lag",
    "ray_serve_deployment_queued_queries",
)
DATABASE_HISTOGRAM = ("db.client.operation.duration", "db.client.operations.duration")
# (seconds spent, number of queries), both rising
DATABASE_OF = (
    ("db_client_operation_duration_seconds_sum", "db_client_operation_duration_seconds_count"),
    ("pg_stat_statements_seconds_total", "pg_stat_statements_calls_total"),
    ("mysql_perf_schema_events_statements_seconds_total", "mysql_perf_schema_events_statements_total"),
)
TOKENS = ("vllm:generation_tokens_total", "sglang:generation_tokens_total", "llamacpp:tokens_predicted_total")
REQUESTS = ("vllm:request_success_total", "sglang:num_requests_total", "tgi_request_success")
# name: how what it tells of is said
UP = {
    "up": "",
    "probe_success": "probe of ",
    "pg_up": "PostgreSQL behind ",
    "mysql_up": "MySQL behind ",
    "redis_up": "Redis behind ",
    "mongodb_up": "MongoDB behind ",
    "kafka_up": "Kafka behind ",
    "elasticsearch_up": "Elasticsearch behind ",
    "nginx_up": "nginx behind ",
}

_GPU_MEMORY_NAMES = tuple(name for used, all_of in GPU_MEMORY_OF for name in (used, *all_of))
_DATABASE_NAMES = tuple(name for pair in DATABASE_OF for name in pair)
NAMES: tuple[str, ...] = (
    *CPU_IDLE, *GPU, *KV_CACHE, *GPU_MEMORY, *_GPU_MEMORY_NAMES, *MEMORY,
    *(name for pair in MEMORY_FREE_OF for name in pair), *INFERENCE_QUEUE, *QUEUE, *DATABASE_HISTOGRAM,
    *_DATABASE_NAMES, *TOKENS, *REQUESTS, *UP,
)  # fmt: skip
MODES: Mapping[str, tuple[str, ...]] = {"idle": CPU_IDLE, "used": tuple(MEMORY)}
"""Of these metrics only the series of this mode are asked for."""
# Which label tells the parts of a metric apart, the first that a series has; and the mode of a processor's time.
MODE_LABELS = ("mode", "cpu.mode", "cpu_mode", "state", "system.memory.state")
GPU_LABELS = ("gpu", "hw.id", "hw_id", "hw.name", "uuid", "UUID", "device", "card", "engine", "model_name")
QUEUE_LABELS = ("queue", "model_name", "topic", "deployment", "model")
DATABASE_LABELS = ("db.system.name", "db_system_name", "db.system", "db_system", "datname", "schema")
UP_LABELS = ("job", "instance")
PARTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((*GPU, *KV_CACHE, *GPU_MEMORY, *_GPU_MEMORY_NAMES), GPU_LABELS),
    ((*INFERENCE_QUEUE, *QUEUE), QUEUE_LABELS),
    ((*DATABASE_HISTOGRAM, *_DATABASE_NAMES), DATABASE_LABELS),
    (tuple(UP), UP_LABELS),
)
SECONDS = {"s": 1.0, "": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
