// The Worker of a database, which collects what is no longer used all the time: as it does by itself sooner or later.
import "../../../src/store/database.worker.ts";

setInterval(() => Bun.gc(true), 5);
