// Stands in for the theme's search worker, whose file name follows the question mark in the
// address of this one, and loads it with the first message: the search index.
let separator
addEventListener("message", function first(event) {
  removeEventListener("message", first)
  separator = new RegExp(event.data.data.config.separator)
  importScripts("javascripts/workers/" + location.search.slice(1))
  dispatchEvent(new MessageEvent("message", { data: event.data }))
})

// A pasted error is text, and its words are whole. To the theme a quotation mark, +, -, ^, ~ and \ are
// operators, and every word is the beginning of one, unless it has a weight: "is" would find "isolation".
addEventListener("message", (event) => {
  const { type, data } = event.data
  if (type !== 2 || !event.isTrusted) return
  const words = data.replace(/["+*^~\\]|(?<!\w)-/g, " ").split(separator).filter(Boolean)
  const telling = words.filter((word) => lunr.stopWordFilter(word.toLowerCase()))
  const text = telling.length < 5 ? (telling.length ? telling : words) : telling.map((word) => `${word}^1`)
  event.stopImmediatePropagation()
  dispatchEvent(new MessageEvent("message", { data: { type, data: text.join(" ") } }))
})
