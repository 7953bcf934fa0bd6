/** A command of its own: what a watch costs the application. `node scripts/run.mjs test/bench/watched.ts <postgres url of an empty database>` */
