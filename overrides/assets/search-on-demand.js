// The theme asks for the search index on every full page load. This holds the request back until
// the reader turns to search, or comes from a search result with words to highlight. If a later
// theme asks in another way, the index is fetched at once again, and nothing breaks.
{
  const toggle = document.getElementById("__search")
  const wanted = /[?&][qh]=/.test(location.search)
    ? Promise.resolve()
    : new Promise((resolve) => toggle.addEventListener("change", resolve, { once: true }))

  const { open, send } = XMLHttpRequest.prototype
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    open.call(this, method, url, ...rest)
    if (String(url).endsWith("search/search_index.json"))
      this.send = (body) => wanted.then(() => send.call(this, body))
  }
}
