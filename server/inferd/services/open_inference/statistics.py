"""A version's counts in the protocol's words. There is no response cache, so no hits or misses."""

from inferd.oip import grpc_service_pb2 as pb
from inferd.telemetry.statistics import Duration, ModelStatistics


def model_statistics(statistics: ModelStatistics) -> pb.ModelStatistics:
    """Return what was counted since the version was loaded. Times are in nanoseconds.

    Requests whose caller left are among the failed, as the protocol has no other place for
    them; how many they were is also in `response_stats["0"].cancel`.
    """
    message = pb.ModelStatistics(
        name=statistics.model,
        version=statistics.version,
        last_inference=statistics.last_inference_ms,
        inference_count=statistics.inference_count,
        execution_count=statistics.execution_count,
        inference_stats=pb.InferStatistics(
            success=_duration(statistics.success),
            fail=_duration(statistics.fail),
            queue=_duration(statistics.queue),
            compute_input=_duration(statistics.compute_input),
            compute_infer=_duration(statistics.compute_infer),
            compute_output=_duration(statistics.compute_output),
        ),
    )
    for rows, batch in sorted(statistics.batches.items()):
        message.batch_stats.add(
            batch_size=rows,
            compute_input=pb.StatisticDuration(count=batch.count, ns=batch.input_ns),
            compute_infer=pb.StatisticDuration(count=batch.count, ns=batch.infer_ns),
            compute_output=pb.StatisticDuration(count=batch.count, ns=batch.output_ns),
        )
    if statistics.memory_bytes:
        message.memory_usage.add(type="CPU", byte_size=statistics.memory_bytes)
    if statistics.cancel.count:
        message.response_stats["0"].cancel.CopyFrom(_duration(statistics.cancel))
    return message


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
