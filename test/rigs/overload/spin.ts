/** The program of the speed gauge. It does a unit of work at an interval, and reports its CPU time in seconds. */
const EVERY_MS = 500;
const STEPS = 3_000_000;
/** The repetitions after which V8 has optimised the code. */
const WARM = 20;

for (let i = 0; i < WARM; i++) work();
setInterval(() => {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  process.send?.((user + system) / 1e6);
}, EVERY_MS);
process.on('disconnect', () => process.exit());

function work(): number {
  let value = 1;
  for (let i = 0; i < STEPS; i++) value = Math.imul(value, 1_103_515_245) + 12_345;
  return value;
}
