// A client of the API, for a browser or for Node.

// --8<-- [start:client]
export class Academy {
  pair = {}; // in memory: a reload signs out, a script of another tab reads nothing
  refreshing = null;

  constructor(base) {
    this.base = base;
  }

  async signIn(email, password) {
    this.pair = await read(await this.post("token/", { email, password }));
  }

  async ask(path, options = {}) {
    const used = this.pair.access;
    const answer = await this.send(path, options);
    if (answer.status !== 401 || !this.pair.refresh) return read(answer);
    if (used === this.pair.access) await this.refreshOnce();
    return read(await this.send(path, options));
  }

  refreshOnce() {
    this.refreshing ??= this.refresh().finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  async refresh() {
    const answer = await this.post("token/refresh/", { refresh: this.pair.refresh });
    this.pair = answer.status === 401 ? {} : await read(answer);
  }

  post(path, body) {
    const headers = { "Content-Type": "application/json" };
    const url = new URL(path, this.base);
    return fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  }

  send(path, { headers, ...options }) {
    const token = this.pair.access;
    const bearer = token ? { Authorization: `Bearer ${token}` } : {};
    const url = new URL(path, this.base);
    if (url.origin !== new URL(this.base).origin) throw new Error(`not ours: ${url}`);
    return fetch(url, { ...options, headers: { ...headers, ...bearer } });
  }
  // --8<-- [end:client]

  // --8<-- [start:all]
  async *all(path) {
    while (path) {
      const page = await this.ask(path);
      yield* page.results;
      path = page.next;
    }
  }
  // --8<-- [end:all]
}

// --8<-- [start:read]
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title);
    Object.assign(this, problem, { status });
  }
}

export async function read(answer) {
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const known = answer.headers.get("Content-Type") === "application/problem+json";
  const problem = known ? await answer.json() : { title: answer.statusText };
  throw new Problem(answer.status, problem);
}
// --8<-- [end:read]
