-- Prints what wrk has seen as one line of JSON.
function done(summary, latency)
  local e = summary.errors
  local broken = e.connect + e.read + e.write + e.timeout
  io.write(string.format(
    '{"succeeded": %d, "failed": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f}\n',
    summary.requests - e.status, e.status + broken, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
