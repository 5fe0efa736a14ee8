// A guest as users of @wapc/as-guest write it, built without `--use abort=...`: the compiler then imports `env.abort`.
import { Result, consoleLog, handleCall, hostCall, register } from "@wapc/as-guest/assembly";

register("echo", (payload: ArrayBuffer): Result<ArrayBuffer> => Result.ok<ArrayBuffer>(payload));

register("relay", (payload: ArrayBuffer): Result<ArrayBuffer> => hostCall("default", "sample:relay", "Relay", payload));

register("log", (payload: ArrayBuffer): Result<ArrayBuffer> => {
  consoleLog(String.UTF8.decode(payload));
  return Result.ok<ArrayBuffer>(new ArrayBuffer(0));
});

register("fail", (payload: ArrayBuffer): Result<ArrayBuffer> => {
  return Result.error<ArrayBuffer>(new Error(String.UTF8.decode(payload)));
});

register("abort", (payload: ArrayBuffer): Result<ArrayBuffer> => {
  throw new Error(String.UTF8.decode(payload));
});

export function __guest_call(operation_size: usize, payload_size: usize): bool {
  return handleCall(operation_size, payload_size);
}
