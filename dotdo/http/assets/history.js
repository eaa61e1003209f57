// The pulse of the last minutes, as series for charts. Counters become rates; a host that started anew counts from zero.

const SAMPLES_MAX = 120;
const samples = [];
let before = null;

/** Take one more answer of /dashboard/pulse. */
export function take(pulse) {
  if (before && pulse.at <= before.at) return;
  const seconds = before ? pulse.at - before.at : 0;
  const heard = pulse.hosts.filter((host) => !host.is_silent);
  const sum = (name) => heard.reduce((total, host) => total + host[name], 0);
  samples.push({
    calls: rate("calls", pulse, seconds), steps: rate("steps", pulse, seconds), active: sum("active"), hosts: heard.length,
    p50: pulse.latency_ms?.p50 ?? null, p95: pulse.latency_ms?.p95 ?? null, round_trip: heard.length ? pulse.round_trip_ms : null,
  });
  if (samples.length > SAMPLES_MAX) samples.shift();
  before = pulse;
}

function rate(name, pulse, seconds) {
  if (!before || seconds <= 0 || seconds > 30) return null;
  let total = 0;
  for (const host of pulse.hosts.filter((one) => !one.is_silent)) {
    const old = before.hosts.find((one) => one.host === host.host && one.pid === host.pid && !one.is_silent);
    total += Math.max(0, host[name] - (old ? old[name] : 0));
  }
  return total / seconds;
}

const SHOWN_MIN = 30;

/** A series, oldest first; what is not known yet is null. */
export const series = (name) => [...Array(Math.max(0, SHOWN_MIN - samples.length)).fill(null), ...samples.map((one) => one[name])];
