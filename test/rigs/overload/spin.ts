/** The program of the speed gauge: a piece of work now and then, and what it took of a processor, in seconds. */
const EVERY_MS = 500;
const STEPS = 3_000_000;
/** Until it is compiled as well as it will be. */
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
