// A client that refreshes for each answer that it gets.

import { Academy } from "./client.js";

// --8<-- [start:wrong_refresh]
export class Hasty extends Academy {
  refreshOnce() {
    return this.refresh();
  }
}
// --8<-- [end:wrong_refresh]
