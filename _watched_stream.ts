// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { HeartbeatRecord } from "./_heartbeat_record.ts";
import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
} from "./_monitor_options.ts";
import { SilenceClock } from "./_silence_clock.ts";
import { StreamGuard } from "./_stream_guard.ts";

/**
 * Passes a stream on, which errors when it is silent for too long; a byte stream
 * stays one.
 *
 * @param source The stream. It is locked.
 * @param options The limits, and which chunks count.
 */
export function watchStream<T>(
  source: ReadableStream<T>,
  options: HeartbeatMonitorOptions<T>,
): ReadableStream<T> {
  const { isHeartbeat, name, onSilence, gaps, ...limits } = readMonitorOptions(
    options,
  );
  const record = new HeartbeatRecord(isHeartbeat);
  const clock = new SilenceClock({
    ...limits,
    isSelective: isHeartbeat !== undefined,
    onStall: (stall) => guard.fail(record.createError(stall, name)),
    onGap: gaps && ((gap) => gaps.record(gap)),
    onFirstGap: gaps && ((gap) => gaps.recordFirst(gap)),
    onSilence: onSilence && ((report) => {
      try {
        onSilence(record.createEvent(report));
      } catch (error) {
        guard.fail(error);
      }
    }),
  });
  const guard: StreamGuard<T> = new StreamGuard({
    source,
    limits: [{ clock, isHeartbeat: (chunk) => record.take(chunk) }],
  });
  return guard.readable;
}
