// Stands in for the theme's search worker, whose file name follows the question mark in the
// address of this one, and loads it with the first message: the search index.
addEventListener("message", function first(event) {
  removeEventListener("message", first)
  importScripts("javascripts/workers/" + location.search.slice(1))
  dispatchEvent(new MessageEvent("message", { data: event.data }))
})
