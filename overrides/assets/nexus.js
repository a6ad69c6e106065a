// Runs before the theme's bundle, once per full page load.
{
  const search = document.getElementById("__search")
  const drawer = document.getElementById("__drawer")
  const query = document.querySelector("[data-md-component=search-query]")
  const menu = document.querySelector("header [for=__drawer]")

  // The theme asks for the search index on every full page load. Hold the request back until the reader turns
  // to search, or comes from a result with words to highlight. Should a theme ask otherwise, nothing breaks.
  const wanted = /[?&][qh]=/.test(location.search)
    ? Promise.resolve()
    : new Promise((resolve) => search.addEventListener("change", resolve, { once: true }))
  const { open, send } = XMLHttpRequest.prototype
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    open.call(this, method, url, ...rest)
    if (String(url).endsWith("search/search_index.json"))
      this.send = (body) => wanted.then(() => send.call(this, body))
  }

  // The theme searches when a key goes up. A paste from a menu has no key.
  query.addEventListener("input", () => query.dispatchEvent(new Event("keyup")))

  // The drawer is a check box with labels: say whether it is open, and close it with Escape.
  drawer.addEventListener("change", () => menu.setAttribute("aria-expanded", drawer.checked))

  addEventListener("keydown", (event) => {
    const label = event.target.closest?.("label[tabindex]")
    if (event.key === "Escape" && drawer.checked) {
      drawer.click()
      menu.focus()
    } else if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      query.focus()
    } else if (event.key === " " && label) {
      event.preventDefault()
      label.click()
    } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !search.checked) {
      // WCAG 2.1.4: one letter alone must not jump to another page or into the search.
      event.stopImmediatePropagation()
    }
  }, true)

  // The theme makes a navigation landmark of every copy button.
  addEventListener("load", () => document$.subscribe(() => {
    for (const nav of document.querySelectorAll(".md-code__nav")) nav.role = "none"
  }))

  // Copying a session leaves out its prompts and its output. A statement after an indented one
  // gets the empty line that Python's own prompt wants between the two.
  addEventListener("click", (event) => {
    const session = event.target.closest?.("[data-md-type=copy]")?.closest(".language-pycon, .language-console")
    if (!session) return
    let before = ""
    session.dataset.copy = session.querySelector("code").textContent.split("\n").flatMap((line) => {
      const [, prompt = "", typed = prompt ? "" : line] = /^(>>>|\.\.\.|\$)(?: (.*)|$)/.exec(line) ?? []
      if (!prompt && before !== "\\") return []
      const gap = prompt === ">>>" && before === "..."
      before = typed.endsWith("\\") ? "\\" : prompt
      return gap ? ["", typed] : [typed]
    }).join("\n")
  }, true)
}
